//! A row as the bytes that a journal holds: its columns one after the other, each text with its length before it.

use std::ops::Range;

use super::chain::View;

/// Where the row's time stands, which is known last.
pub(super) const AT: Range<usize> = 0..8;

/// Every column but the row's place in the chain, which it does not have yet.
pub(super) fn encode(row: &View<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&row.at.to_le_bytes());
    out.extend_from_slice(&row.duration_us.to_le_bytes());
    for text in [
        row.event,
        row.tenant_id,
        row.run_id,
        row.actor,
        row.tool,
        row.pack,
        row.pack_version,
        row.pack_hash,
        row.interface_hash,
        row.input_hash,
        row.auth,
        row.egress,
        row.isolation,
    ] {
        put(out, text);
    }
    for text in [row.outcome, row.error_type, row.decision, row.args] {
        out.push(u8::from(text.is_some()));
        put(out, text.unwrap_or_default());
    }
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// None for bytes that [`encode`] did not write.
pub(super) fn decode(bytes: &[u8]) -> Option<View<'_>> {
    let mut rest = bytes;
    let at = i64::from_le_bytes(take(&mut rest)?);
    let duration_us = i64::from_le_bytes(take(&mut rest)?);
    let mut text = || text(&mut rest);
    let [event, tenant_id, run_id, actor, tool, pack, pack_version, pack_hash, interface_hash, input_hash] =
        [(); 10].map(|()| text());
    let [auth, egress, isolation] = [(); 3].map(|()| text());
    let mut maybe = || -> Option<Option<&str>> {
        let [there] = take(&mut rest)?;
        let text = self::text(&mut rest)?;
        Some((there == 1).then_some(text))
    };
    let [outcome, error_type, decision, args] = [(); 4].map(|()| maybe());
    let row = View {
        event: event?,
        at,
        tenant_id: tenant_id?,
        run_id: run_id?,
        actor: actor?,
        tool: tool?,
        pack: pack?,
        pack_version: pack_version?,
        pack_hash: pack_hash?,
        interface_hash: interface_hash?,
        input_hash: input_hash?,
        outcome: outcome?,
        error_type: error_type?,
        duration_us,
        auth: auth?,
        egress: egress?,
        decision: decision?,
        isolation: isolation?,
        args: args?,
    };
    rest.is_empty().then_some(row)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a str> {
    let length = u32::from_le_bytes(take(rest)?) as usize;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    std::str::from_utf8(text).ok()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

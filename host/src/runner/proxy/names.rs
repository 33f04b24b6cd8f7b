//! The name server of a cell: a granted name gets an address of the cell's own loopback, by which a connection to it is known again. No
//! question leaves the machine here; what the name really stands for is looked up by the gate when a connection is opened.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::net::UdpSocket;

use super::Shared;
use crate::egress::Reach;

/// The first address that stands for a name. Those below are left to programs that use the loopback themselves.
const FIRST: u32 = u32::from_be_bytes([127, 64, 0, 1]);

/// The names that have an address, so that those below a granted `*.` do not take memory without end.
const MOST: usize = 4096;

/// How long a program may remember an address, in seconds. It stays good until the cell ends.
const GOOD_FOR: u32 = 60;

/// A question is at most this long over UDP.
const QUESTION: usize = 512;

/// Names and their addresses.
#[derive(Debug)]
pub(super) struct Names {
    reach: Arc<Reach>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<String, Ipv4Addr>,
    by_address: BTreeMap<Ipv4Addr, String>,
}

impl Names {
    pub(super) fn new(reach: Arc<Reach>) -> Self {
        Self { reach, known: Mutex::default() }
    }

    /// The address that stands for a name, if the name is granted.
    fn address(&self, name: &str) -> Option<Ipv4Addr> {
        if !self.reach.names(name) {
            return None;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = known.by_name.get(name) {
            return Some(*address);
        }
        let number = u32::try_from(known.by_name.len()).ok().filter(|_| known.by_name.len() < MOST)?;
        let address = Ipv4Addr::from(FIRST + number);
        known.by_name.insert(name.to_owned(), address);
        known.by_address.insert(address, name.to_owned());
        Some(address)
    }

    /// The host that an address stands for. The cell's own address stands for this machine, by whichever name that is granted.
    pub(super) fn host(&self, address: IpAddr) -> Option<String> {
        let IpAddr::V4(address) = address else { return None };
        if address == Ipv4Addr::LOCALHOST {
            return ["localhost", "127.0.0.1"].into_iter().find(|name| self.reach.names(name)).map(str::to_owned);
        }
        self.known.lock().unwrap_or_else(PoisonError::into_inner).by_address.get(&address).cloned()
    }
}

/// Answers until the socket fails.
pub(super) async fn answer(shared: Arc<Shared>, socket: UdpSocket) {
    let mut question = [0; QUESTION];
    loop {
        match socket.recv_from(&mut question).await {
            Ok((length, from)) => {
                if let Some(answer) = answer_to(&question[..length], &shared.names) {
                    if let Some(name) = refused(&answer) {
                        shared.count(&name, |traffic| traffic.refused += 1);
                    }
                    let _ = socket.send_to(&answer, from).await;
                }
            }
            // What a program in the cell does to its own sockets is no reason to stop.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// The bytes of a message before its question.
const HEADER: usize = 12;
/// The question for an address of the fourth version.
const ADDRESS: [u8; 2] = [0, 1];
const INTERNET: [u8; 2] = [0, 1];
/// That a name exists, and that it does not; with recursion as if there were any.
const FOUND: u8 = 0x80;
const NO_SUCH_NAME: u8 = 0x83;

/// The name that an answer says does not exist. Programs ask for both versions of addresses at once: one of the two questions counts.
fn refused(answer: &[u8]) -> Option<String> {
    let (name, length) = name(answer.get(HEADER..)?)?;
    let asked_for = answer.get(HEADER + length..HEADER + length + 2)?;
    (*answer.get(3)? == NO_SUCH_NAME && asked_for == ADDRESS).then_some(name)
}

/// The answer to a question for one name (RFC 1035, section 4), or nothing when it is not one.
fn answer_to(question: &[u8], names: &Names) -> Option<Vec<u8>> {
    let header = question.get(..HEADER)?;
    // A standard question, and one.
    if header[2] & 0xf8 != 0 || header[4..6] != [0, 1] {
        return None;
    }
    let (name, length) = name(question.get(HEADER..)?)?;
    let asked = question.get(HEADER..HEADER + length + 4)?;
    let (kind, class) = (&asked[length..length + 2], &asked[length + 2..]);

    let address = names.address(&name);
    let given = address.filter(|_| kind == ADDRESS && class == INTERNET);
    let recursion = header[2] & 1;
    let code = if address.is_some() { FOUND } else { NO_SUCH_NAME };
    let mut answer = Vec::with_capacity(HEADER + asked.len() + 16);
    answer.extend_from_slice(&header[..2]);
    answer.extend_from_slice(&[0x80 | recursion, code, 0, 1, 0, u8::from(given.is_some()), 0, 0, 0, 0]);
    answer.extend_from_slice(asked);
    if let Some(given) = given {
        // The name as it stands in the question, by its place.
        answer.extend_from_slice(&[0xc0, 12]);
        answer.extend_from_slice(&ADDRESS);
        answer.extend_from_slice(&INTERNET);
        answer.extend_from_slice(&GOOD_FOR.to_be_bytes());
        answer.extend_from_slice(&[0, 4]);
        answer.extend_from_slice(&given.octets());
    }
    Some(answer)
}

/// A name in lower case, and how many bytes it took. References to other places make no sense in a question.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut name, mut at) = (String::new(), 0);
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((name, at)).filter(|(name, _)| name.len() <= 253);
        }
        let label = bytes.get(at..at + length).filter(|_| length < 64)?;
        let label = std::str::from_utf8(label).ok().filter(|label| label.is_ascii())?;
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(&label.to_ascii_lowercase());
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use rig_specs::manifest::Capabilities;

    use super::*;

    fn names() -> Names {
        let granted: Capabilities =
            toml::from_str("[[network]]\nhost = \"api.example.com\"\n[[network]]\nhost = \"*.wide.example\"\n")
                .unwrap();
        Names::new(Arc::new(Reach::compile(&granted, &BTreeMap::new()).unwrap()))
    }

    fn question(name: &str, kind: u8) -> Vec<u8> {
        let mut asked = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            asked.push(u8::try_from(label.len()).unwrap());
            asked.extend_from_slice(label.as_bytes());
        }
        asked.extend_from_slice(&[0, 0, kind, 0, 1]);
        asked
    }

    #[test]
    fn a_granted_name_has_an_address_that_leads_back_to_it() {
        let names = names();
        let answer = answer_to(&question("API.example.com", 1), &names).unwrap();
        assert_eq!((&answer[..4], answer[7]), (&[0xab, 0xcd, 0x81, 0x80][..], 1));
        let address: [u8; 4] = answer[answer.len() - 4..].try_into().unwrap();
        assert_eq!(names.host(Ipv4Addr::from(address).into()).as_deref(), Some("api.example.com"));
        let again = answer_to(&question("api.example.com", 1), &names).unwrap();
        assert_eq!(again[again.len() - 4..], address);
        let other = answer_to(&question("a.wide.example", 1), &names).unwrap();
        assert_ne!(other[other.len() - 4..], address);
        // An address of the sixth version: the name is there, without one.
        let none = answer_to(&question("api.example.com", 28), &names).unwrap();
        assert_eq!((none[3], none[7]), (0x80, 0));
        assert_eq!(names.host(Ipv4Addr::LOCALHOST.into()), None);
        assert_eq!(names.host("127.99.0.1".parse().unwrap()), None);
    }

    #[test]
    fn other_names_do_not_exist() {
        for name in ["evil.example", "example.com", "wide.example", "metadata.google.internal"] {
            let answer = answer_to(&question(name, 1), &names()).unwrap();
            assert_eq!((answer[3], answer[7]), (0x83, 0), "{name}");
            assert_eq!(refused(&answer).as_deref(), Some(name));
        }
        for (name, kind) in [("api.example.com", 1), ("evil.example", 28)] {
            assert_eq!(refused(&answer_to(&question(name, kind), &names()).unwrap()), None, "{name} {kind}");
        }
    }

    #[test]
    fn what_is_no_question_gets_no_answer() {
        let good = question("api.example.com", 1);
        for length in 0..good.len() {
            assert_eq!(answer_to(&good[..length], &names()), None, "{length}");
        }
        let mut reply = good.clone();
        reply[2] |= 0x80;
        assert_eq!(answer_to(&reply, &names()), None);
        let mut reference = good.clone();
        reference[12] = 0xc0;
        assert_eq!(answer_to(&reference, &names()), None);
        let mut two = good;
        two[5] = 2;
        assert_eq!(answer_to(&two, &names()), None);
    }
}

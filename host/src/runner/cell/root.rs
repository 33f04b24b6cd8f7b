//! The root folder of a cell: pieces of the machine's, read-only and at their own paths, in an empty one of its own.
//!
//! What is not listed is not there: no home, no store, no other pack, no `/sys`, none of the machine's `/etc` but the certificate
//! authorities and where libraries are. `/etc/passwd` and the like are written here and name nobody of the machine.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::symlink,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{StatVfsMountFlags, statvfs},
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
        mount_remount, unmount,
    },
    process::pivot_root,
};

use super::{
    Layer,
    message::{Explain as _, Outcome, Plan},
};

/// Where libraries, certificate authorities and time zones are, on the distributions there are. What a machine lacks is left out.
const SYSTEM: [&str; 15] = [
    "/lib",
    "/lib64",
    "/lib32",
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib32",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
    "/usr/share/zoneinfo",
];

/// All of `/dev`: nothing of the machine can be reached through these.
const DEVICES: [&str; 4] = ["null", "zero", "random", "urandom"];

/// What the cell has for `/etc`.
const ETC: [(&str, &str); 6] = [
    ("passwd", "rig:x:1000:1000:rig:/tmp:/usr/sbin/nologin\n"),
    ("group", "rig:x:1000:\n"),
    ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("hostname", "cell\n"),
    ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

/// Process numbers that the kernel keeps for the first ones of a namespace, so that a highest number is this much above a count.
const RESERVED: u64 = 300;

/// Where a program finds things, after all that.
pub(super) struct Place {
    /// The folder that it can write to.
    pub scratch: PathBuf,
    /// The folders that it can read.
    pub readable: Vec<PathBuf>,
    /// Whether `/proc` shows the cell's own processes only.
    pub own_proc: bool,
}

impl Place {
    /// The part of the environment that the cell itself says.
    pub(super) fn environment(&self, plan: &Plan) -> Vec<(OsString, OsString)> {
        let scratch = self.scratch.clone().into_os_string();
        let mut all: Vec<(OsString, OsString)> =
            ["HOME", "TMPDIR"].into_iter().map(|name| (name.into(), scratch.clone())).collect();
        if let Some(proxy) = plan.proxy.as_ref().filter(|_| plan.proxy_variables) {
            let login = proxy.password.as_ref().map(|password| format!("rig:{password}@")).unwrap_or_default();
            let url = OsString::from(format!("http://{login}127.0.0.1:{}", proxy.port));
            // Programs read one spelling or the other.
            let names = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];
            all.extend(names.into_iter().map(|name| (name.into(), url.clone())));
        }
        all
    }
}

/// Builds the root and goes there, or only says what there is without one.
pub(super) fn build(plan: &Plan) -> Outcome<Place> {
    let program = plan.program.iter().cloned();
    let wanted: Vec<PathBuf> =
        SYSTEM.iter().map(PathBuf::from).chain(plan.read_only.iter().cloned()).chain(program).collect();
    if !plan.layers.contains(&Layer::Root) {
        counted(plan, false)?;
        let devices = DEVICES.iter().map(|name| Path::new("/dev").join(name));
        let readable = wanted.into_iter().chain(devices).filter(|path| path.exists()).collect();
        return Ok(Place { scratch: plan.scratch.clone(), readable, own_proc: false });
    }
    // Nothing that is mounted here is seen outside.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .lacking(Layer::Root, "making mounts private")?;
    let new = plan.scratch.as_path();
    mount("rig", new, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755,size=1m,nr_inodes=16k")
        .lacking(Layer::Root, "mounting the root")?;
    let mut pieces = Pieces { new, bound: Vec::new() };
    for path in wanted {
        pieces.add(&path, 0).lacking(Layer::Root, &format!("showing {}", path.display()))?;
    }
    let readable = pieces.bound;
    // Where a project is in `/tmp` itself, that stays what it is.
    let tmp = Path::new("/tmp");
    let own = Path::new(if readable.iter().any(|path| path.starts_with(tmp)) { "/scratch" } else { "/tmp" });
    devices(new).lacking(Layer::Root, "making /dev")?;
    read_only(new).lacking(Layer::Root, "making the root read-only")?;
    let etc = || -> io::Result<()> {
        fs::create_dir_all(new.join("etc"))?;
        ETC.iter().try_for_each(|(name, text)| fs::write(new.join("etc").join(name), text))
    };
    etc().setup("writing /etc")?;
    let own_proc = processes(plan, new)?;
    scratch(plan, &inside(new, own)).lacking(Layer::Root, "making the scratch folder")?;

    std::env::set_current_dir(new).lacking(Layer::Root, "entering the root")?;
    pivot_root(".", ".").lacking(Layer::Root, "entering the root")?;
    unmount(".", UnmountFlags::DETACH).lacking(Layer::Root, "leaving the machine's root")?;
    std::env::set_current_dir("/").lacking(Layer::Root, "entering the root")?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("/", flags, "").lacking(Layer::Root, "closing the root")?;
    Ok(Place { scratch: own.into(), readable, own_proc })
}

/// What is in the new root so far.
struct Pieces<'a> {
    new: &'a Path,
    bound: Vec<PathBuf>,
}

impl Pieces<'_> {
    /// Shows a file or a folder at its own path. A link stays one, and what it leads to comes along.
    fn add(&mut self, path: &Path, depth: u8) -> io::Result<()> {
        if depth > 16 {
            return Err(io::Error::other("too many links"));
        }
        let path = plain(path);
        if self.bound.iter().any(|bound| path.starts_with(bound)) {
            return Ok(());
        }
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let inside = inside(self.new, &path);
        if let Some(folder) = inside.parent() {
            fs::create_dir_all(folder)?;
        }
        if found.is_symlink() {
            let target = fs::read_link(&path)?;
            let leads_to = path.parent().unwrap_or(Path::new("/")).join(&target);
            match symlink(&target, &inside) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            return self.add(&leads_to, depth + 1);
        }
        if found.is_dir() {
            fs::create_dir_all(&inside)?;
        } else if !inside.exists() {
            fs::write(&inside, "")?;
        }
        mount_bind_recursive(&path, &inside)?;
        self.bound.push(path);
        Ok(())
    }
}

/// Where an absolute path of the cell is, seen from outside.
fn inside(new: &Path, path: &Path) -> PathBuf {
    new.join(path.strip_prefix("/").unwrap_or(path))
}

/// The path without `.` and `..`, by its text: links on the way are the caller's own.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(part) => plain.push(part),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}

/// Makes every mount below the new root read-only. Flags that a mount has already stay: taking them away is refused.
fn read_only(new: &Path) -> io::Result<()> {
    for mounted in mounts_below(&fs::read("/proc/self/mountinfo")?, new) {
        let has = statvfs(&mounted)?.f_flag;
        let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID;
        for (of_file_system, of_mount) in [
            (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
            (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
            (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
            (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
        ] {
            flags.set(of_mount, has.contains(of_file_system));
        }
        // A device of `/dev` would not open there.
        flags.set(MountFlags::NODEV, !mounted.starts_with(new.join("dev")) || has.contains(StatVfsMountFlags::NODEV));
        mount_remount(&mounted, flags, "")?;
    }
    Ok(())
}

/// The mount points below a folder, from the kernel's list (`proc_pid_mountinfo(5)`).
fn mounts_below(list: &[u8], folder: &Path) -> Vec<PathBuf> {
    let points = list.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let points = points.map(|written| PathBuf::from(OsString::from_vec(unescaped(written))));
    points.filter(|point| point.starts_with(folder) && point != folder).collect()
}

/// White space and backslashes are written as three octal digits.
fn unescaped(written: &[u8]) -> Vec<u8> {
    let mut read = Vec::with_capacity(written.len());
    let mut rest = written;
    while let Some((first, more)) = rest.split_first() {
        let code = more
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(OsStr::from_bytes(digits).to_str()?, 8).ok());
        read.push(code.unwrap_or(*first));
        rest = if code.is_some() { &more[3..] } else { more };
    }
    read
}

fn devices(new: &Path) -> io::Result<()> {
    let folder = new.join("dev");
    fs::create_dir_all(&folder)?;
    for name in DEVICES {
        fs::write(folder.join(name), "")?;
        mount_bind(Path::new("/dev").join(name), folder.join(name))?;
    }
    for (name, target) in [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")] {
        symlink(target, folder.join(name))?;
    }
    Ok(())
}

/// Mounts `/proc` with the cell's own processes and nothing else, and limits their number. Where the kernel does not let it be mounted
/// (some containers), there is none.
fn processes(plan: &Plan, new: &Path) -> Outcome<bool> {
    let place = new.join("proc");
    fs::create_dir_all(&place).setup("making /proc")?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // The limit of the namespace is set through the whole of /proc, which then goes away again.
    let limited = mount("proc", &place, "proc", flags, None).map_err(io::Error::from).and_then(|()| {
        let highest = (RESERVED + plan.limits.processes).to_string();
        let limited = fs::write(place.join("sys/kernel/pid_max"), highest);
        unmount(&place, UnmountFlags::DETACH)?;
        // Older kernels have one number for the whole machine, which is not this cell's to set.
        limited
    });
    counted(plan, limited.is_ok())?;
    Ok(mount("proc", &place, "proc", flags | MountFlags::RDONLY, c"subset=pid").is_ok())
}

/// Refuses where nothing counts the processes. A limit of the user's is one of the cell's only where the user is the cell's own, and the
/// kernel does not hold it against the superuser.
fn counted(plan: &Plan, by_namespace: bool) -> Outcome<()> {
    let by_user = || {
        let maps = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let outside = maps.split_whitespace().nth(1).and_then(|user| user.parse::<u32>().ok());
        plan.layers.contains(&Layer::Namespaces) && outside != Some(0)
    };
    if plan.layers.contains(&Layer::Limits) && plan.groups.is_empty() && !by_namespace && !by_user() {
        return Err("neither a control group, nor the namespace, nor the user's limit counts its processes")
            .lacking(Layer::Limits, "limiting processes");
    }
    Ok(())
}

/// Files in memory with an exact limit, which go away with the cell.
fn scratch(plan: &Plan, place: &Path) -> io::Result<()> {
    fs::create_dir_all(place)?;
    let options = format!("mode=0700,size={},nr_inodes=16k", plan.limits.scratch);
    let options = std::ffi::CString::new(options).map_err(io::Error::other)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("scratch", place, "tmpfs", flags, options.as_c_str())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts() {
        let list = b"36 35 98:0 / /a rw - ext4 /dev/x rw\n37 36 0:5 / /a/b\\040c rw - tmpfs t rw\n38 35 0:6 / /ab rw - x x rw\n\n";
        assert_eq!(mounts_below(list, Path::new("/a")), [PathBuf::from("/a/b c")]);
        assert_eq!(unescaped(br"\134x\0"), br"\x\0");
    }

    #[test]
    fn paths_are_plain() {
        for (path, expected) in [("/a/../b", "/b"), ("/../x", "/x"), ("/a/./b/", "/a/b"), ("a", "/a")] {
            assert_eq!(plain(Path::new(path)), Path::new(expected), "{path}");
        }
    }
}

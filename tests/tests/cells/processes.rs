//! Other processes, limits, and the end of everything in a cell.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rig_host::runner::cell::Ended;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::attack::{PATIENCE, Setup};

/// A process of this test's own that an attack may do its worst to.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").env("TOKEN", "a-secret-of-the-victim").spawn().unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_processes_are_not_seen_signalled_or_traced() {
    let script = "
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE, PTRACE_ATTACH = 0x4206, 16
for pid in map(int, sys.argv[1].split(',')):
    if str(pid) in os.listdir('/proc'): print('sees it')
    for name in ('environ', 'cmdline', 'maps'):
        try: print('read', name, open(f'/proc/{pid}/{name}', 'rb').read(4096))
        except OSError as error: print('no', name, error.strerror)
    try: os.kill(pid, signal.SIGCONT); print('could signal')
    except OSError as error: print('no signal', error.strerror)
    print('traced' if libc.ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 else f'no trace {os.strerror(ctypes.get_errno())}')
";
    let victim = Victim::new();
    let (pid, test) = (victim.0.id().to_string(), std::process::id());
    let setup = Setup::python(script, &[&pid]);
    let control = setup.control();
    for got in ["sees it", "read environ", "a-secret-of-the-victim", "could signal", "traced"] {
        assert!(control.contains(got), "{got}: {control}");
    }
    let came = Setup::python(script, &[&format!("{pid},{test},{}", std::os::unix::process::parent_id())]).run().await;
    for refused in
        ["no environ", "no cmdline", "no maps", "no signal No such process", "no trace Operation not permitted"]
    {
        assert_eq!(came.stdout.matches(refused).count(), 3, "{refused}: {came:?}");
    }
    assert!(!["sees it", "read", "could", "traced\n"].iter().any(|got| came.stdout.contains(got)), "{came:?}");
}

/// The first process of a cell is the only one above the program. It has nothing that the program lacks, and cannot be ended by it.
#[tokio::test(flavor = "multi_thread")]
async fn the_parent_stands() {
    let script = "
import os, signal
print(os.getppid(), os.getpid() != 1)
for name in ('environ', 'mem', 'exe', 'fd', 'root'):
    try:
        path = f'/proc/{os.getppid()}/{name}'
        # The numbers of its files may be seen; what they are may not.
        if name == 'fd': print('got fd', [os.readlink(path + '/' + number) for number in os.listdir(path)])
        else: print('got', name, os.listdir(path) if name == 'root' else open(path, 'rb').read(16))
    except OSError as error: print('no', name)
for sent in (signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV): os.kill(os.getppid(), sent)
try: os.kill(-1, signal.SIGKILL)
except OSError: pass
print(sorted(line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')))
print('still here')
";
    let came = Setup::python(script, &[]).run().await;
    let lines: Vec<&str> = came.stdout.lines().collect();
    assert_eq!(lines[0], "1 True", "{came:?}");
    assert_eq!(lines[1..6], ["no environ", "no mem", "no exe", "no fd", "no root"], "{came:?}");
    assert_eq!(lines[6], format!("{:?}", vec!["0".repeat(16); 5]).replace('"', "'"), "{came:?}");
    assert_eq!((lines[7], came.ended), ("still here", Ended::Exit(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_attacks_begin_with_are_refused() {
    // Numbers of x86-64; those from 424 on are the same elsewhere.
    let script = "
import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, number, *args):
    ctypes.set_errno(0)
    result = libc.syscall(number, *args)
    print(name, 'done' if result >= 0 else os.strerror(ctypes.get_errno()))
USER, MOUNTS = 0x10000000, 0x00020000
call('unshare', 272, USER)
call('clone', 56, USER | 17, 0, 0, 0, 0) if os.environ.get('TMPDIR') == '/tmp' else None
call('clone3', 435, None, 0)
call('bpf', 321, 0, None, 0)
call('perf', 298, None, 0, -1, -1, 0)
call('io_uring', 425, 1, ctypes.create_string_buffer(120))
call('userfaultfd', 323, 1)
call('keyctl', 250, 0, -3, 1)
call('memfd', 319, b'x', 0)
call('mount', 165, b'none', b'/tmp', b'tmpfs', 0, None)
call('fsopen', 430, b'tmpfs', 0)
call('by_handle', 304, -100, None, 0)
call('vm_readv', 310, os.getpid(), None, 0, None, 0, 0)
call('shmget', 29, 0, 4096, 0o1600)
call('new', 470, 0)
for family, kind, protocol in ((1, 1, 0), (16, 3, 12), (17, 3, 0), (2, 3, 1), (2, 1, 262), (38, 5, 0), (40, 1, 0)):
    try: socket.socket(family, kind, protocol).close(); print('socket', family, kind, protocol, 'done')
    except OSError as error: print('socket', family, kind, protocol, error.strerror)
a, b = socket.socketpair(); a.send(b'!'); print('pair', b.recv(1))
";
    if std::env::consts::ARCH != "x86_64" {
        return println!("skipped: the numbers are those of x86-64");
    }
    let came = Setup::python(script, &[]).run().await;
    let mut lines = came.stdout.lines();
    assert_eq!(lines.next_back(), Some("pair b'!'"), "{came:?}");
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 22, "{came:?}");
    for line in lines {
        let expected =
            if line.starts_with("clone3") || line.starts_with("new") { "not implemented" } else { "not permitted" };
        assert!(line.ends_with(expected), "{line}: {came:?}");
    }
    let control = Setup::python(script, &[]).control();
    for done in ["unshare done", "memfd done", "userfaultfd", "socket 1 1 0 done", "pair b'!'"] {
        assert!(control.contains(done), "{done}: {control}");
    }
}

/// Runs while something else is done by its side, and returns how late a timer was at most, beyond what it is without.
async fn disturbed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    const TICK: Duration = Duration::from_millis(10);
    let watch = tokio::spawn(async {
        let (mut worst, mut last) = (Duration::ZERO, Instant::now());
        loop {
            tokio::time::sleep(TICK).await;
            worst = worst.max(last.elapsed().saturating_sub(TICK));
            last = Instant::now();
            if worst > PATIENCE {
                return worst;
            }
            tokio::task::yield_now().await;
            LATEST.store(u64::try_from(worst.as_millis()).unwrap(), std::sync::atomic::Ordering::Relaxed);
        }
    });
    let done = work.await;
    watch.abort();
    (done, Duration::from_millis(LATEST.swap(0, std::sync::atomic::Ordering::Relaxed)))
}

static LATEST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_stays_small() {
    let script = "
import os, sys, time
most, started = int(sys.argv[1]), 0
try:
    while started < most:
        if os.fork() == 0:
            time.sleep(600); os._exit(0)
        started += 1
except OSError as error: print(error.strerror)
print(started, flush=True)
if most < 1000: os.killpg(0, 9) if os.getpgid(0) == os.getpid() else None
";
    let setup = Setup::python(script, &["100000"]).limits(|limits| {
        limits.processes = 40;
        // What a parent and its children share counts for each of them.
        limits.memory = 16 << 30;
    });
    let (came, late) = disturbed(setup.run()).await;
    println!("a timer beside a fork bomb was at most {late:?} late");
    let lines: Vec<&str> = came.stdout.lines().collect();
    assert_eq!(lines[0], "Resource temporarily unavailable", "{came:?}");
    // The kernel keeps 300 numbers of a namespace for itself where it counts by numbers.
    assert!(lines[1].parse::<u32>().unwrap() <= 340, "{came:?}");
    // Without a cell: more than that, and the control ends its children itself.
    let mut control = Command::new(&setup.cell.program);
    std::os::unix::process::CommandExt::process_group(&mut control, 0);
    let output = control.args(["-c", script, "500"]).stderr(Stdio::null()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "500\n");
}

/// Memory without end: in one process, shared without a file, and in many processes.
#[tokio::test(flavor = "multi_thread")]
async fn memory_is_limited() {
    let own = "
held = []
try:
    while len(held) < 40: held.append(bytearray(16 << 20))
    print('took it')
except MemoryError: print('refused')
";
    let shared = "
import mmap
held = []
for _ in range(40):
    part = mmap.mmap(-1, 16 << 20); held.append(part)
    for at in range(0, 16 << 20, 4096): part[at] = 1
import time; time.sleep(1)
print('took it')
";
    let many = "
import os, sys, time
for _ in range(10):
    if os.fork() == 0:
        held = bytearray(b'x' * (64 << 20)); time.sleep(8); os._exit(0)
for _ in range(10): os.wait()
print('took it')
";
    for (script, expected) in [(own, "refused\n"), (shared, ""), (many, "")] {
        let setup = Setup::python(script, &[]).limits(|limits| limits.memory = 256 << 20);
        let (came, late) = disturbed(setup.run()).await;
        println!("a timer beside memory without end was at most {late:?} late");
        assert_eq!(came.stdout, expected, "{came:?}");
        let how = if expected.is_empty() { Ended::Memory } else { Ended::Exit(0) };
        assert_eq!(came.ended, how, "{script}");
        assert_eq!(setup.control(), "took it\n");
    }
    // A JavaScript engine reserves far more than it uses: that is no memory.
    let node = "const a = []; for (let i = 0; i < 20; i++) a.push(Buffer.alloc(1 << 20, 1)); console.log('fine')";
    assert_eq!(Setup::node(node, &[]).limits(|limits| limits.memory = 256 << 20).run().await.stdout, "fine\n");
}

/// A line of the program's, as it is written.
async fn first_line(running: &mut rig_host::runner::cell::Running) -> String {
    let mut line = String::new();
    let mut reader = BufReader::new(&mut running.stdout);
    tokio::time::timeout(PATIENCE, reader.read_line(&mut line)).await.unwrap().unwrap();
    line.trim().to_owned()
}

/// How many of the processes of the machine were started with that argument.
fn alive(mark: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|argument| argument == mark.as_bytes())).count()
}

/// Waits for so many of them: a process that is just starting a program has no arguments for a moment.
async fn there(mark: &str, count: usize) {
    let begun = Instant::now();
    while alive(mark) < count {
        assert!(begun.elapsed() < PATIENCE, "{mark} is not there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn gone(mark: &str) {
    let begun = Instant::now();
    while alive(mark) > 0 {
        assert!(begun.elapsed() < PATIENCE, "{mark} is still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const STUBBORN: &str = "
import os, signal, sys, time
for number in set(range(1, 65)) - {signal.SIGCHLD}:
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
# A grandchild without a parent, in a session of its own.
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]])
    os._exit(0)
os.wait()
print('ready', flush=True)
while True: time.sleep(1)
";

/// Nothing that a program does keeps it or what it started alive: not when the cell is ended, not when it is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_cell_ends_with_everything_in_it() {
    let mark = format!("stubborn-{}", std::process::id());
    let setup = Setup::python(STUBBORN, &[&mark]);
    for dropped in [false, true] {
        let mut running = setup.start().await;
        assert_eq!(first_line(&mut running).await, "ready");
        there(&mark, 2).await;
        if dropped {
            drop(running);
        } else {
            tokio::time::timeout(PATIENCE, running.held.kill()).await.unwrap();
        }
        gone(&mark).await;
    }
    // The program ends by itself, and what it left behind ends with it.
    let mark = format!("orphan-{}", std::process::id());
    let script = STUBBORN.replace("while True: time.sleep(1)", "");
    let mut running = Setup::python(&script, &[&mark]).start().await;
    assert_eq!(running.held.ended().await, Ended::Exit(0));
    gone(&mark).await;

    // Without a cell the grandchild outlives its parent, as long as nobody ends it.
    let mark = format!("control-{}", std::process::id());
    let setup = Setup::python(&script, &[&mark]);
    let mut control = Command::new(&setup.cell.program);
    let mut control = control.args(&setup.cell.args).stdout(Stdio::null()).spawn().unwrap();
    control.wait().unwrap();
    there(&mark, 1).await;
    let pids = fs::read_dir("/proc").unwrap().flatten().filter(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == mark.as_bytes())
    });
    for pid in pids {
        Command::new("kill").arg("-9").arg(pid.file_name()).status().unwrap();
    }
    gone(&mark).await;
}

/// When rig itself is killed, nothing can tell the cell; it ends all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_cell_ends_when_rig_is_killed() {
    let mark = format!("killed-{}", std::process::id());
    let mut running = Setup::python(STUBBORN, &[&mark]).start().await;
    assert_eq!(first_line(&mut running).await, "ready");
    there(&mark, 1).await;
    // The process that stands between rig and the cell ends like any other whose parent is gone.
    let between = between(&mark);
    Command::new("kill").arg("-9").arg(between.to_string()).status().unwrap();
    gone(&mark).await;
    assert_eq!(running.held.ended().await, Ended::Killed);
}

/// The process outside that started the first one of the cell in which the mark is.
fn between(mark: &str) -> u32 {
    let parent = |pid: u32| -> u32 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
        line.trim().parse().unwrap()
    };
    let marked = fs::read_dir("/proc").unwrap().flatten().find(|process| {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        arguments.contains(&mark.as_bytes())
    });
    let mut pid = marked.unwrap().file_name().to_str().unwrap().parse().unwrap();
    // Upwards until the parent is this test.
    while parent(pid) != std::process::id() {
        pid = parent(pid);
    }
    pid
}

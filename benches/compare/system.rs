//! What the system says: CPU time, memory, cores.

use std::fs;
use std::time::Duration;

/// Pins the calling thread, and what it spawns, to one core.
pub fn pin(core: usize) {
    // SAFETY: a cpu_set_t is plain data, zero is its empty value, and the call only reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// Cores of this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `pid` and all that descend from it.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut at = 0;
    while at < family.len() {
        let children = format!("/proc/{0}/task/{0}/children", family[at]);
        let children = fs::read_to_string(children).unwrap_or_default();
        family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        at += 1;
    }
    family
}

/// CPU time, user and system, that the processes have used.
pub fn cpu_time(pids: &[u32]) -> Duration {
    pids.iter().map(|pid| schedstat(*pid)).sum()
}

/// Nanoseconds on a core, of all threads: finer than the ticks of `/proc/PID/stat`.
fn schedstat(pid: u32) -> Duration {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let on_core = |task: fs::DirEntry| -> Option<u64> {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    Duration::from_nanos(tasks.flatten().filter_map(on_core).sum())
}

/// Resident memory of the processes, in bytes, shared pages counted by their share.
pub fn memory(pids: &[u32]) -> u64 {
    let pss = |pid: &u32| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pids.iter().filter_map(pss).sum::<u64>() * 1024
}

/// The machine, in a line.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown processor");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} cores, {model}, Linux {}", cores(), kernel.trim())
}

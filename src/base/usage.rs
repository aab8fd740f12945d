//! What the system counts of this process: CPU time, memory, threads.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this process uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessUsage {
    /// Bytes of memory that are resident (`VmRSS`, proc_pid_status(5)).
    pub resident: u64,
    /// Bytes of memory that are mapped (`VmSize`).
    pub virtual_memory: u64,
    /// Threads.
    pub threads: u64,
}

impl ProcessUsage {
    /// As it is now; `None` where `/proc` is not there.
    pub fn now() -> Option<ProcessUsage> {
        ProcessUsage::read(&fs::read_to_string("/proc/self/status").ok()?)
    }

    fn read(status: &str) -> Option<ProcessUsage> {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line?.split_whitespace().next()?.parse::<u64>().ok()
        };
        Some(ProcessUsage {
            resident: number("VmRSS")? * 1024,
            virtual_memory: number("VmSize")? * 1024,
            threads: number("Threads")?,
        })
    }
}

/// CPU time of all threads, those that ended included (`CLOCK_PROCESS_CPUTIME_ID`,
/// clock_gettime(2)).
pub fn cpu() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(used.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_names() {
        let status = "Name:\ttidegate\nVmSize:\t  2048 kB\nVmRSS:\t  512 kB\nThreads:\t7\n";
        let read = ProcessUsage::read(status).unwrap();
        assert_eq!((read.virtual_memory, read.resident, read.threads), (2 << 20, 512 << 10, 7));
        assert_eq!(ProcessUsage::read("Threads: 7"), None);
    }

    #[test]
    fn this_process_uses_something() {
        let used = ProcessUsage::now().unwrap();
        assert!(used.resident > 0 && used.resident <= used.virtual_memory && used.threads > 0);
        let before = cpu();
        while cpu() == before {
            std::hint::spin_loop();
        }
    }
}

//! Threads that compute for long, and give way to the workers meanwhile.

use std::io;

/// The niceness of such a thread: where no core is free, it has a tenth of what a worker has, and
/// never less.
const NICENESS: i32 = 10;

/// Makes this thread give way (setpriority(2), which on Linux is a thread's own). Where the system
/// refuses, it computes as one among equals.
pub fn give_way() {
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Makes this thread compute in what time nobody else wants (`SCHED_IDLE`, sched(7)): whoever has
/// something to do has its core at once, and the system counts a core that it is on as free. Where
/// all cores are busy for long, it has a three-hundredth of one. Where the system refuses, it gives
/// way.
pub fn take_idle_time() {
    give_way();
    // It is nice already.
    let _ = set_idle();
}

fn set_idle() -> io::Result<()> {
    let this_thread = 0;
    // SAFETY: of integers alone, all of them zero, it is whole.
    let priority: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the call reads one `sched_param` through the pointer, which is valid for that long.
    let done = unsafe { libc::sched_setscheduler(this_thread, libc::SCHED_IDLE, &priority) };
    if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

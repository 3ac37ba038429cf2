//! How the allocator of the C library shares memory among threads. What is allocated is everybody else's.

/// Fewer would make threads wait for each other, more keep memory that is of no use.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: std::ops::RangeInclusive<i32> = 2..=8;

/// One arena for each processor. The library would make eight for each, and what one thread has given back stays in its
/// arena, of no use to the others: a backup's client took a tenth more memory so, its server a quarter, and no time was
/// saved (docs/benchmarks.md). To be called before there are threads. Where it is not possible nothing changes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub(crate) fn share() {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let arenas = i32::try_from(processors).unwrap_or(i32::MAX).clamp(*ARENAS.start(), *ARENAS.end());
    // SAFETY: mallopt takes two numbers and changes settings of the allocator. The program has one thread yet.
    let _ = unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
}

/// Other libraries have other allocators.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn share() {}

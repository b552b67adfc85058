//! Memory of this process.

use std::io;

use super::proc::Proc;

/// Lets go of the program's own pages, which a process that mostly waits needs few of: they are read
/// again when they are used. Only what is executed, which nobody ever wrote to.
pub fn let_program_go() -> io::Result<()> {
    let maps = Proc::open()?.read("self/maps")?;
    for (start, end) in maps.lines().filter_map(executable) {
        // SAFETY: the pages are a file's, never written to, and come back by the next access.
        let result =
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The range of a line of `/proc/PID/maps` (proc_pid_maps(5)) that is a file's, and executed.
fn executable(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_whitespace();
    let (range, rights) = (fields.next()?, fields.next()?);
    let path = fields.nth(3)?;
    if rights != "r-xp" || !path.starts_with('/') {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let address = |text| usize::from_str_radix(text, 16).ok();
    Some((address(start)?, address(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_programs_are_let_go() {
        let rows = [
            (
                "7f0000000000-7f0000002000 r-xp 00001000 08:01 42    /usr/bin/ucr",
                Some((0x7f00_0000_0000, 0x7f00_0000_2000)),
            ),
            (
                "7f0000000000-7f0000002000 r--p 00001000 08:01 42  /usr/bin/ucr",
                None,
            ),
            (
                "7f0000000000-7f0000002000 rwxp 00001000 08:01 42  /usr/bin/ucr",
                None,
            ),
            ("7f0000000000-7f0000002000 r-xp 00000000 00:00 0", None),
            (
                "7f0000000000-7f0000002000 r-xp 00000000 00:00 0   [vdso]",
                None,
            ),
            ("", None),
        ];
        for (line, expected) in rows {
            assert_eq!(executable(line), expected, "{line}");
        }
        let_program_go().unwrap();
    }
}

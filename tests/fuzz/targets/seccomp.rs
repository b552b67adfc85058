//! Seccomp profiles: whatever comes out, the kernel would load it, and it always ends.
#![no_main]

use caps::CapsHashSet;
use libfuzzer_sys::fuzz_target;
use ucr::error::{self, Kind};
use ucr::runtime::native::seccomp::{Filter, Instruction};

fuzz_target!(|bytes: &[u8]| {
    for capabilities in [CapsHashSet::new(), caps::all()] {
        match Filter::from_profile(bytes, &capabilities, (6, 1)) {
            Ok((filter, warnings)) => {
                loadable(filter.program());
                assert_eq!(filter.flags() & !0b110, 0);
                assert!(warnings.len() <= 16);
                for warning in warnings {
                    assert!(warning.starts_with("seccomp profile: "), "{warning}");
                }
                let again = Filter::from_profile(bytes, &capabilities, (6, 1));
                assert_eq!(again.ok().map(|(filter, _)| filter), Some(filter));
            }
            Err(error) => {
                let kind = error::kind(&error);
                assert!(
                    matches!(kind, Kind::Spec | Kind::Limit | Kind::Unsupported),
                    "{kind:?}"
                );
                assert!(error::render(&error).starts_with("seccomp profile: "));
            }
        }
    }
});

/// What the kernel checks: known operations, jumps within the program, a return at its end.
fn loadable(program: &[Instruction]) {
    assert!((1..=4096).contains(&program.len()), "{}", program.len());
    for (at, Instruction { code, jt, jf, k }) in program.iter().enumerate() {
        let target = match code {
            // Loads of words of seccomp_data, which has 64 bytes.
            0x20 => {
                assert!(*k < 64 && k % 4 == 0, "{at}: loads {k}");
                at + 1
            }
            0x54 => at + 1,
            0x06 => continue,
            0x05 => at + 1 + *k as usize,
            0x15 | 0x25 | 0x35 => at + 1 + usize::from(*jt.max(jf)),
            _ => panic!("{at}: operation {code:#x}"),
        };
        assert!(target < program.len(), "{at}: jumps to {target}");
    }
}

//! Every kernel against the portable one, here on the host.

use mote_conformance::cases;
use mote_cortex_m::kernels::CORTEX_M;
use mote_cortex_m::kernels::pack::Dsp;
use mote_runtime::kernels::PORTABLE;
use mote_runtime::kernels::pack::Portable;

#[test]
fn cortex_m_dsp() {
    let cases = cases(&Dsp);
    for case in &cases {
        let name = &case.name;
        assert!(!case.own || (1000..2000).contains(&case.kernel()), "{name}: kernel {}", case.kernel());
        let (want, found) = (case.expected(), case.found(&CORTEX_M));
        let differ = want.iter().zip(&found).position(|(want, found)| want != found);
        assert!(want == found, "{name}: {} bytes, the first difference is at {differ:?}", want.len());
    }
    // The table takes each kernel's every rounding.
    for entry in CORTEX_M.entries.iter().filter(|entry| (1000..2000).contains(&entry.id)) {
        assert!(cases.iter().any(|case| case.kernel() == entry.id), "no case for {}", entry.name);
    }
}

/// The suite would notice a wrong byte: inputs that differ in one give other outputs.
#[test]
fn cases_depend_on_their_inputs() {
    let constant = cases(&Portable)
        .iter()
        .filter(|case| {
            let bytes = case.found(&PORTABLE);
            bytes.len() > 16 && bytes.iter().all(|byte| *byte == bytes[0])
        })
        .count();
    assert!(constant * 3 < cases(&Portable).len(), "{constant} cases have constant outputs");
}

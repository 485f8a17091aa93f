#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| limitr_fuzz::expressions(input));

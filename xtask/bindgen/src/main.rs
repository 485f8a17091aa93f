//! `bindgen MODULE FOLDER`: writes the JavaScript that calls a WebAssembly module, and the module made ready for it.
//!
//! What the program `wasm-bindgen` does, without an install. A program of its own because its dependencies take a minute
//! to build, which only those who build the SDK need to wait for.
#![expect(clippy::print_stderr, reason = "a command speaks through its output")]

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(module), Some(folder)) = (args.next(), args.next()) else {
        eprintln!("usage: bindgen MODULE FOLDER");
        return ExitCode::FAILURE;
    };
    let mut bindgen = Bindgen::new();
    let made = bindgen.input_path(module).web(true).and_then(|bindgen| bindgen.typescript(true).generate(folder));
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `table`: measures the engine beside its peers and prints one table of medians and ratios.

mod alloc;
mod engine;
mod keys;
mod measure;
mod peers;
mod table;

use std::{error::Error, process::ExitCode};

use measure::Effort;
use table::Table;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("table: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (mut json, mut quick) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => json = true,
            "--quick" => quick = true,
            other => {
                return Err(format!("unexpected argument `{other}`; there are `--json` and `--quick`").into());
            }
        }
    }
    let mut table = Table::default();
    engine::measure_all(&mut table, if quick { Effort::QUICK } else { Effort::FULL }, quick)?;
    if json {
        println!("{:#}", table.to_json());
    } else {
        println!("{}", table.to_text());
    }
    Ok(())
}

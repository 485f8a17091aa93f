//! How the module is linked.

fn main() {
    let set = |name: &str| std::env::var_os(name).is_some();
    if set("CARGO_FEATURE_STOF") && std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // The Stof runtime has constructors. The linker would run them at the start of every exported function, which takes
        // three times as long as a call; exported, they are run by the SDK, once.
        println!("cargo::rustc-cdylib-link-arg=--export=__wasm_call_ctors");
    }
}

//! Stand-in programs for the demonstration: minimal static ELF executables for Linux on x86-64.

/// Virtual address at which the file is mapped: the usual one of static executables.
const BASE: u64 = 0x0040_0000;
/// Bytes of the ELF header and of one program header.
const HEADERS: u64 = 64 + 56;

/// An executable that prints one line and exits with 1, so that no unit takes it for the real program.
pub(super) fn program(name: &str) -> Vec<u8> {
    let message = format!("{name}: a stand-in made by `kube-bundle demo`, not Kubernetes\n");
    let code = code(&message);
    let size = HEADERS + (code.len() + message.len()) as u64;
    [elf_header(), program_header(size), code, message.into_bytes()].concat()
}

/// `elf(5)`: 64-bit, little endian, executable, x86-64, entry point right after the headers.
fn elf_header() -> Vec<u8> {
    let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    header.resize(16, 0);
    header.extend_from_slice(&2u16.to_le_bytes());
    header.extend_from_slice(&62u16.to_le_bytes());
    header.extend_from_slice(&1u32.to_le_bytes());
    header.extend_from_slice(&(BASE + HEADERS).to_le_bytes());
    header.extend_from_slice(&64u64.to_le_bytes());
    header.extend_from_slice(&0u64.to_le_bytes());
    header.extend_from_slice(&0u32.to_le_bytes());
    for field in [64u16, 56, 1, 0, 0, 0] {
        header.extend_from_slice(&field.to_le_bytes());
    }
    header
}

/// Loads the whole file, readable and executable.
fn program_header(size: u64) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(&1u32.to_le_bytes());
    header.extend_from_slice(&5u32.to_le_bytes());
    for field in [0, BASE, BASE, size, size, 0x1000] {
        header.extend_from_slice(&u64::to_le_bytes(field));
    }
    header
}

/// `write(2, message, length); exit(1)`.
fn code(message: &str) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(0).to_le_bytes();
    let mut code = vec![0xb8, 1, 0, 0, 0, 0xbf, 2, 0, 0, 0];
    // lea rsi, [rip + what follows this instruction]
    code.extend_from_slice(&[0x48, 0x8d, 0x35, 0x13, 0, 0, 0]);
    code.push(0xba);
    code.extend_from_slice(&length);
    code.extend_from_slice(&[0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x0f, 0x05]);
    code
}

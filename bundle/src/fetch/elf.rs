//! Whether a file is an x86-64 program, by its ELF header: the name of the file proves nothing.

/// Bytes that [`check`] needs.
pub(super) const HEAD: usize = 20;

/// Reads an ELF header (`elf(5)`): magic, 64-bit class, little endian, `e_machine` 62.
pub(super) fn check(head: &[u8]) -> Result<(), String> {
    match head {
        [0x7f, b'E', b'L', b'F', 2, 1, ..] if head.len() >= HEAD => {
            let machine = u16::from_le_bytes([head[18], head[19]]);
            if machine == 62 {
                Ok(())
            } else {
                Err(format!("a program for another machine: expected ELF machine 62 (x86-64), got {machine}"))
            }
        }
        [0x7f, b'E', b'L', b'F', ..] => {
            Err("a program for another machine: expected 64-bit little-endian ELF".to_owned())
        }
        _ => Err("no Linux program: it does not begin with an ELF header".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(class: u8, machine: u8) -> Vec<u8> {
        let mut head = vec![0x7f, b'E', b'L', b'F', class, 1];
        head.resize(HEAD, 0);
        head[18] = machine;
        head
    }

    #[test]
    fn only_x86_64_passes() {
        assert_eq!(check(&head(2, 62)), Ok(()));
        assert!(check(&head(2, 183)).is_err_and(|why| why.contains("got 183")));
        assert!(check(&head(1, 3)).is_err());
        assert!(check(b"#!/bin/sh\nexec kube-apiserver").is_err());
        assert!(check(&[]).is_err());
    }
}

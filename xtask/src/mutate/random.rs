//! Random numbers that are the same for the same seed, and random damage to bytes.
#![expect(clippy::cast_possible_truncation, reason = "random bits, of which fewer do as well")]

/// xorshift64*, which is enough for damage.
pub(crate) struct Random(u64);

impl Random {
    /// Cases of one seed differ, and each can be repeated alone.
    pub(crate) fn of_case(seed: u64, case: u64) -> Self {
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9)
            ^ case.wrapping_mul(0x94d0_49bb_1331_11eb);
        let mut random = Self(mixed | 1);
        (0..8).for_each(|_| _ = random.next());
        random
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 if there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { (self.next() >> 16) as usize % end }
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    pub(super) fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// A place in `bytes`, rather where something is than among zeros.
    fn place(&mut self, bytes: &[u8]) -> usize {
        let mut place = self.below(bytes.len());
        for _ in 0..8 {
            if bytes.get(place).is_some_and(|byte| *byte != 0) {
                break;
            }
            place = self.below(bytes.len());
        }
        place
    }
}

/// Damages bytes as disks, copies and people do it.
pub(super) fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return bytes.push(random.byte());
    }
    let place = random.place(bytes);
    match random.below(8) {
        0 | 1 => bytes[place] ^= 1 << random.below(8),
        2 => bytes[place] = random.byte(),
        3 => bytes.truncate(place),
        4 => {
            let count = 1 + random.below(64);
            let inserted: Vec<_> = (0..count).map(|_| random.byte()).collect();
            bytes.splice(place..place, inserted);
        }
        5 => {
            let end = (place + 1 + random.below(600)).min(bytes.len());
            bytes.drain(place..end);
        }
        6 => {
            let end = (place + 1 + random.below(600)).min(bytes.len());
            let copy = bytes[place..end].to_vec();
            let to = random.below(bytes.len() - copy.len() + 1);
            bytes[to..to + copy.len()].copy_from_slice(&copy);
        }
        _ => (0..=random.below(4)).for_each(|_| {
            let place = random.place(bytes);
            bytes[place] ^= 1 << random.below(8);
        }),
    }
}

/// Damages text: a line goes, comes twice, changes places, or has another word.
pub(super) fn damage_text(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.len() < 2 {
        return damage(random, bytes);
    }
    let (one, other) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(5) {
        0 => drop(lines.remove(one)),
        1 => lines.insert(other, lines[one].clone()),
        2 => lines.swap(one, other),
        3 => {
            let line = &mut lines[one];
            if let Some(digit) = line.iter_mut().find(|byte| byte.is_ascii_digit()) {
                *digit = b'0' + random.byte() % 10;
            }
        }
        _ => damage(random, &mut lines[one]),
    }
    *bytes = lines.concat();
}

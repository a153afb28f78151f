//! A fixed number of threads takes work from a common counter, so a slow piece holds up nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Does `work` for each item on up to `threads` threads; results come in the order of the items. After the
/// first failure nobody takes another item, and `None` stands for what was not begun.
pub fn each<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Vec<Option<Result<R, E>>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(items.iter().map(|_| None).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    if result.is_err() {
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    results.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(result);
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let results = each(7, &items, |item| if *item < 1000 { Ok(item * 2) } else { Err(()) });
        assert!(results.into_iter().zip(items).all(|(result, item)| result == Some(Ok(item * 2))));
    }

    #[test]
    fn nothing_is_begun_after_a_failure() {
        let results = each(1, &[1, 2, 3], |item| if *item == 2 { Err(*item) } else { Ok(*item) });
        assert_eq!(results, [Some(Ok(1)), Some(Err(2)), None]);
    }
}

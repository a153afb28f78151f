//! A fixed number of threads takes items from a common counter, so that a slow item holds up no other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::progress::{Progress, Task};

/// Does `work` for each item on up to `threads` threads, and returns the results in the order of the items. After a failure
/// no further item is begun; of several failures, that of the first item in order is returned.
pub fn each<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
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
                    locked(&results)[index] = Some(result);
                }
            });
        }
    });
    // Items are missing only after a failure, which is among the others then.
    results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect()
}

/// As [`each`], and what is noted of an item appears when all items before it are done: lines have the order of the items
/// on any number of threads. Warnings, and what tasks note while they go on, appear at once.
pub fn each_in_order<T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &[T],
    progress: &dyn Progress,
    work: impl Fn(&T, &dyn Progress) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let numbered: Vec<_> = items.iter().enumerate().collect();
    let order = Mutex::new(Order { next: 0, early: BTreeMap::new() });
    each(threads, &numbered, |(index, item)| {
        let held = Held { progress, lines: Mutex::default() };
        let result = work(item, &held)?;
        let lines = held.lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        locked(&order).take(*index, lines, progress);
        Ok(result)
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of bytes, of which each thread takes some while it works. One that takes all waits until it is alone.
pub struct Budget {
    most: u64,
    taken: Mutex<u64>,
    returned: Condvar,
}

/// Bytes that were taken; they are returned when it is dropped.
pub struct Share<'b>(&'b Budget, u64);

impl Budget {
    /// So many bytes at a time.
    pub fn new(most: u64) -> Self {
        Self { most, taken: Mutex::default(), returned: Condvar::new() }
    }

    /// Waits until so many bytes are left.
    pub fn take(&self, bytes: u64) -> Share<'_> {
        let has_no_room = |taken: &mut u64| *taken > 0 && taken.saturating_add(bytes) > self.most;
        let taken = self.returned.wait_while(locked(&self.taken), has_no_room);
        *taken.unwrap_or_else(PoisonError::into_inner) += bytes;
        Share(self, bytes)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *locked(&self.0.taken) -= self.1;
        self.0.returned.notify_all();
    }
}

enum Line {
    Note(String),
    Detail(String),
}

/// Holds back the lines of one item.
struct Held<'p> {
    progress: &'p dyn Progress,
    lines: Mutex<Vec<Line>>,
}

impl Progress for Held<'_> {
    fn note(&self, text: &str) {
        locked(&self.lines).push(Line::Note(text.to_owned()));
    }
    fn detail(&self, text: &str) {
        locked(&self.lines).push(Line::Detail(text.to_owned()));
    }
    fn warn(&self, text: &str) {
        self.progress.warn(text);
    }
    fn task(&self, name: &str, size: Option<u64>) -> Box<dyn Task> {
        self.progress.task(name, size)
    }
}

/// Lines of items that were done before an earlier one, by index.
struct Order {
    next: usize,
    early: BTreeMap<usize, Vec<Line>>,
}

impl Order {
    fn take(&mut self, index: usize, lines: Vec<Line>, progress: &dyn Progress) {
        self.early.insert(index, lines);
        while let Some(lines) = self.early.remove(&self.next) {
            self.next += 1;
            for line in lines {
                match line {
                    Line::Note(text) => progress.note(&text),
                    Line::Detail(text) => progress.detail(&text),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Quiet;

    /// Remembers what is said.
    #[derive(Default)]
    struct Said(Mutex<Vec<String>>);

    impl Progress for Said {
        fn note(&self, text: &str) {
            locked(&self.0).push(text.to_owned());
        }
        fn detail(&self, text: &str) {
            locked(&self.0).push(format!("detail {text}"));
        }
        fn warn(&self, text: &str) {
            locked(&self.0).push(format!("warning {text}"));
        }
        fn task(&self, name: &str, size: Option<u64>) -> Box<dyn Task> {
            Quiet.task(name, size)
        }
    }

    #[test]
    fn lines_have_the_order_of_the_items_and_warnings_do_not_wait() {
        let said = Said::default();
        let others = AtomicUsize::new(0);
        let work = |item: &usize, progress: &dyn Progress| {
            // The first item is done last.
            while *item == 0 && others.load(Ordering::Acquire) < 3 {
                std::thread::yield_now();
            }
            if *item == 3 {
                progress.warn("3");
            }
            progress.note(&item.to_string());
            progress.detail(&item.to_string());
            others.fetch_add(1, Ordering::Release);
            Ok::<_, ()>(())
        };
        each_in_order(2, &[0, 1, 2, 3], &said, work).expect("no failure");
        let said = said.0.into_inner().expect("no panic");
        assert_eq!(said, ["warning 3", "0", "detail 0", "1", "detail 1", "2", "detail 2", "3", "detail 3"]);
    }

    #[test]
    fn threads_together_take_no_more_than_there_is() {
        let (budget, taken, most) = (Budget::new(10), AtomicUsize::new(0), AtomicUsize::new(0));
        let items: Vec<usize> = (0..200).map(|item| item % 11).collect();
        let work = |item: &usize| {
            let _share = budget.take(*item as u64);
            most.fetch_max(taken.fetch_add(*item, Ordering::SeqCst) + item, Ordering::SeqCst);
            std::thread::yield_now();
            taken.fetch_sub(*item, Ordering::SeqCst);
            Ok::<_, ()>(())
        };
        each(4, &items, work).expect("no failure");
        assert_eq!(most.into_inner(), 10);
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let results = each(7, &items, |item| if *item < 1000 { Ok(item * 2) } else { Err(()) });
        assert_eq!(results, Ok(items.iter().map(|item| item * 2).collect()));
    }

    #[test]
    fn nothing_is_begun_after_a_failure() {
        let begun = AtomicUsize::new(0);
        let result = each(1, &[1, 2, 3], |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *item == 2 { Err(*item) } else { Ok(*item) }
        });
        assert_eq!((result, begun.into_inner()), (Err(2), 2));
    }
}

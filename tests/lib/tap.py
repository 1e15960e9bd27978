"""tap: test cases as functions, their results as TAP lines.

    @tap.case("E-001 agent hangs up before the target answers")
    def e001(lab): ...

    tap.main(Lab)        # Lab() is a context manager; each case gets what it yields

Cases run in `jobs` threads, each is one TAP line; a case fails by raising. What a failed case
left in `diag` (see note()) and its traceback follow its line as TAP comments. A case that takes
longer than LIMIT ends the whole run as a failure, with the stacks of all threads.
"""
import faulthandler
import os
import sys
import threading
import time
import traceback

LIMIT = 600
_cases = []
_local = threading.local()
_printing = threading.Lock()


def case(name, **needs):
    """Registers a case; `needs` is handed to nobody, it documents."""
    def register(fn):
        _cases.append((name, fn))
        return fn
    return register


def note(fn):
    """Calls fn() for text to print if the present case fails."""
    _local.notes.append(fn)


def at_end(fn):
    """Calls fn() when the present case has ended, however it ended."""
    _local.ends.append(fn)


def say(text):
    """Prints text at once, as a comment that is no result: whoever reads the log should know."""
    with _printing:
        print("\n".join(f"# note: {line}" for line in text.splitlines()), flush=True)


def _run(fn, lab):
    """Runs one case; returns None, or why it failed."""
    _local.notes, _local.ends = [], []
    why = None
    try:
        fn(lab)
    except BaseException:
        why = traceback.format_exc()
        for text in _local.notes:
            try:
                why += text() + "\n"
            except Exception as e:
                why += f"(no diagnosis: {e})\n"
    for fn_end in reversed(_local.ends):
        try:
            fn_end()
        except Exception:
            why = (why or "") + "while ending:\n" + traceback.format_exc()
    return why


class _Results:
    def __init__(self, total):
        self.n, self.bad = 0, 0
        print(f"1..{total}", flush=True)

    def add(self, name, why, seconds):
        with _printing:
            self.n += 1
            self.bad += why is not None
            print(f"{'not ok' if why else 'ok'} {self.n} - {name.replace('#', '')}")
            if why:
                print("\n".join("# " + line for line in why.splitlines()))
            if os.environ.get("SEGUE_TEST_TIMES"):
                print(f"# {seconds:.2f} s")
            sys.stdout.flush()


def main(make_lab, jobs=6, only=None):
    """Runs all cases of this file, or those whose name contains one of the arguments."""
    wanted = only or sys.argv[1:]
    cases = [c for c in _cases if not wanted or any(w in c[0] for w in wanted)]
    results = _Results(len(cases) + 1)
    jobs = int(os.environ.get("SEGUE_TEST_JOBS", jobs))
    todo, lock = list(cases), threading.Lock()

    def worker(lab):
        while True:
            with lock:
                if not todo:
                    return
                name, fn = todo.pop(0)
            started = time.monotonic()
            results.add(name, _run(fn, lab), time.monotonic() - started)

    faulthandler.dump_traceback_later(LIMIT * (1 + len(cases) // jobs), exit=True)
    why, lab = None, None
    started = time.monotonic()
    try:
        lab = make_lab()
        with lab:
            # the main thread works too: what a case of a lone worker starts must outlive the case,
            # and processes that die with their parent die with the thread that started them
            threads = [threading.Thread(target=worker, args=(lab,)) for _ in range(jobs - 1)]
            for t in threads:
                t.start()
            worker(lab)
            for t in threads:
                t.join()
    except BaseException:
        why = traceback.format_exc()
    # the last line: the daemon ended cleanly and nothing of the cases is left
    results.add("the daemon started, ended cleanly, and left nothing open", why,
                time.monotonic() - started)
    faulthandler.cancel_dump_traceback_later()
    for name, _ in todo:
        results.add(name, "never ran: the lab is down", 0)
    sys.exit(1 if results.bad else 0)

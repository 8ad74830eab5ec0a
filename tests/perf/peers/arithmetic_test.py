#!/usr/bin/python3
"""The arithmetic of tests/perf/compare: records to figures, figures to ratios, all of it to tables."""

import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from peers import bounds, chart, figures, report  # noqa: E402


def written(*records):
    return b"".join(figures.RECORD.pack(*record) for record in records)


def cell(system, measure, round_, **numbers):
    return {"system": system, "measure": measure, "round": round_, "figures": numbers, "busy_before": 0.1}


class Figures(unittest.TestCase):
    def test_records_of_the_warm_up_and_half_a_record_do_not_count(self):
        bytes_ = written((0, 20, 10), (figures.WARM_UP, 1, 1), (1, 30, 10)) + b"half"
        self.assertEqual(figures.records([bytes_, b""]), [(0, 20, 10), (1, 30, 10)])

    def test_a_percentile_is_one_of_the_values(self):
        self.assertEqual(figures.percentile(range(1, 101), 50), 50)
        self.assertEqual(figures.percentile(range(1, 101), 99), 99)
        self.assertEqual(figures.percentile([7], 99), 7)
        with self.assertRaises(figures.Unusable):
            figures.percentile([], 50)

    def test_lost_and_repeated_are_counted_apart(self):
        found = [(0, 0, 0), (2, 0, 0), (2, 0, 0), (2, 0, 0)]
        self.assertEqual(figures.lost_and_repeated(found, 4), (2, 2))

    def test_a_rate_counts_from_the_first_stamp_to_the_last_start(self):
        found = [(0, 5_000_000, 1_000_000), (1, 501_000_000, 2_000_000)]
        rates = figures.rates(found, {"acknowledged": 2, "first_ns": 0, "last_ns": 250_000_000})
        self.assertAlmostEqual(rates["end_to_end_per_s"], 4)
        self.assertAlmostEqual(rates["acknowledged_per_s"], 8)

    def test_a_rate_ends_with_the_last_result_where_that_is_known(self):
        found = [(0, 5_000_000, 0), (1, 500_000_000, 0)]
        rates = figures.rates(found, {"acknowledged": 2, "first_ns": 0, "last_ns": 1}, stored_ns=1_000_000_000)
        self.assertAlmostEqual(rates["end_to_end_per_s"], 2)

    def test_there_is_no_rate_of_a_run_that_lost_or_repeated_something(self):
        told = {"acknowledged": 2, "first_ns": 0, "last_ns": 1}
        for found in ([(0, 1, 0)], [(0, 1, 0), (1, 1, 0), (1, 2, 0)]):
            with self.assertRaises(figures.Unusable):
                figures.rates(found, told)

    def test_latencies_leave_out_the_first_events(self):
        found = [(0, 9_000_000, 0), (1, 3_000, 1_000), (2, 5_000, 1_000)]
        self.assertEqual(figures.latencies(found, skip=1), {"p50_us": 2, "p99_us": 4})


class Ratios(unittest.TestCase):
    NAME = "fsync / JetStream: end to end, 1 worker"

    def rates(self, ours, theirs):
        return [cell("fanfare-fsync", "rate-1", round_, end_to_end_per_s=rate) for round_, rate in enumerate(ours)] + \
               [cell("nats-file", "rate-1", round_, end_to_end_per_s=rate) for round_, rate in enumerate(theirs)]

    def test_a_ratio_is_made_of_cells_of_the_same_round(self):
        one = bounds.ratios(self.rates([100, 400, 600], [100, 200, 100]))[self.NAME]
        self.assertEqual(one["rounds"], [1, 2, 6])
        self.assertEqual((one["median"], one["min"], one["max"], one["met"]), (2, 1, 6, True))

    def test_a_median_below_the_bound_is_not_met(self):
        self.assertIs(bounds.ratios(self.rates([149, 149, 900], [100, 100, 100]))[self.NAME]["met"], False)

    def test_a_round_whose_cell_failed_has_no_ratio(self):
        cells = self.rates([100, 400], [100])
        cells.append({"system": "nats-file", "measure": "rate-1", "round": 1, "failed": "it did"})
        self.assertEqual(bounds.ratios(cells)[self.NAME]["rounds"], [1])

    def test_what_was_not_measured_is_neither_met_nor_missed(self):
        self.assertTrue(all(one["met"] is None for one in bounds.ratios([]).values()))

    def test_one_lost_event_in_any_round_is_a_bound_missed(self):
        name = "fsync: lost after kill -9 of broker and Redis"
        cells = [cell("fanfare-fsync", "server-kill", round_, lost=lost, repeated=0) for round_, lost in enumerate([0, 1, 0])]
        self.assertIs(bounds.ratios(cells[:1])[name]["met"], True)
        self.assertIs(bounds.ratios(cells)[name]["met"], False)

    def test_every_ratio_has_a_name_of_its_own(self):
        self.assertEqual(len(bounds.ratios([])), len(bounds.BOUNDS))

    def test_a_call_of_a_function_is_held_against_the_peers_own_call(self):
        cells = [cell("fanfare-memory", "round-trip", 0, p50_us=200, from_function_p50_us=30),
                 cell("gearmand", "round-trip", 0, p50_us=300)]
        self.assertEqual(bounds.ratios(cells)["function to function / gearmand: round trip p50"]["rounds"], [0.1])


SYSTEMS = [{"key": "fanfare-fsync", "name": "Fanfare fsync", "peer": "fanfare", "durability": "fsync", "keeps_results": True,
            "settings": "all defaults", "version": "0.1.0", "missing": ""},
           {"key": "gearmand", "name": "gearmand", "peer": "gearman", "durability": "memory", "keeps_results": False,
            "settings": "TCP", "version": "1.1.20", "missing": ""},
           {"key": "rq", "name": "RQ", "peer": "rq", "durability": "crash", "keeps_results": True, "settings": "", "version": "",
            "missing": "rq is not installed"}]


class Report(unittest.TestCase):
    def markdown(self, busy=0.1):
        cells = [cell("fanfare-fsync", "rate-2", 0, end_to_end_per_s=98_765.4),
                 cell("fanfare-fsync", "rate-2", 1, end_to_end_per_s=123_456),
                 {"system": "gearmand", "measure": "rate-2", "round": 1, "failed": "it hung"}]
        for one in cells:
            one["busy_before"] = busy
        return report.markdown({"machine": {"processors": 2, "model": "X", "kernel": "6"}, "date": "2030-01-01", "rounds": 2,
                                "systems": SYSTEMS, "cells": cells, "ratios": bounds.ratios(cells)})

    def test_numbers_have_three_digits(self):
        self.assertEqual([report.rounded(value) for value in (123_456, 1_234.5, 123.4, 12.34, 1.234, 0.01234, 0)],
                         ["123,000", "1,230", "123", "12.3", "1.23", "0.0123", "0"])

    def test_a_class_that_a_peer_cannot_offer_is_an_empty_cell(self):
        rows = [line.split("|")[1:-1] for line in self.markdown().splitlines() if line.startswith("| ")]
        row = next(row for row in rows if row[0].strip() == "fsync before the acknowledgement")
        self.assertEqual([text.strip() for text in row[1:]], ["111,000 (98,800 – 123,000)", ""])

    def test_a_failed_cell_has_its_reason_and_no_figure(self):
        text = self.markdown()
        self.assertIn("- gearmand, rate-2, round 2: it hung", text)
        self.assertIn("| failed |", text)

    def test_a_peer_that_is_not_there_is_told(self):
        self.assertIn("- RQ: rq is not installed", self.markdown())

    def test_what_is_measured_again_takes_the_place_of_what_was(self):
        def cell(measure, system, figure):
            return {"measure": measure, "system": system, "round": 0, "figures": {"end_to_end_per_s": figure}}

        before = {"date": "1", "systems": ["old"], "ratios": {}, "cells": [cell("rate-1", "a", 1), cell("rate-2", "a", 2)]}
        again = {"date": "2", "systems": ["new"], "ratios": {}, "cells": [cell("rate-2", "a", 3)]}
        both = report.with_measures(before, again)
        self.assertEqual(both["cells"], [cell("rate-1", "a", 1), cell("rate-2", "a", 3)])
        self.assertEqual((both["date"], both["again"], both["systems"]), ("1", {"rate-2": "2"}, ["new"]))

    def test_a_busy_machine_is_told(self):
        self.assertNotIn("say little", self.markdown())
        self.assertIn("say little", self.markdown(busy=0.9))

    def test_who_keeps_no_results_is_marked(self):
        self.assertIn("| gearmand ¹ |", self.markdown())
        self.assertIn("| Fanfare fsync |", self.markdown())

    def test_only_what_stands_between_the_markers_is_replaced(self):
        page = f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n"
        self.assertEqual(report.replaced(page, "new\n"), f"above\n{report.BEGIN}\nnew\n{report.END}\nbelow\n")
        with self.assertRaises(ValueError):
            report.replaced("no markers", "new\n")


class Chart(unittest.TestCase):
    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "ops/setup --peers installs matplotlib")
    def test_a_picture_has_the_systems_that_have_figures(self):
        cells = [cell("fanfare-fsync", "rate-2", round_, end_to_end_per_s=rate) for round_, rate in enumerate([100, 200])]
        with tempfile.TemporaryDirectory() as folder:
            chart.draw(SYSTEMS[:2], cells, f"{folder}/one.png")
            self.assertEqual(pathlib.Path(folder, "one.png").read_bytes()[:4], b"\x89PNG")


class Processes(unittest.TestCase):
    # Of a cell nothing may be left, not even what has left its parent and its session.
    PROGRAM = """
import subprocess, sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, {folder!r})
from peers import processes
processes.become_subreaper()
subprocess.run(["setsid", "-f", "sh", "-c", "trap '' TERM HUP; echo $$ > {file}; sleep 1000"])
processes.wait_until(lambda: __import__("os").path.getsize({file!r}) > 0, 10, lambda: "no grandchild")
if {end}:
    processes.end_all()
print(len(processes.descendants()))
for pid in processes.descendants():
    __import__("os").kill(pid, 9)
"""

    def left(self, end):
        with tempfile.NamedTemporaryFile() as file:
            program = self.PROGRAM.format(folder=str(pathlib.Path(__file__).resolve().parents[1]), file=file.name, end=end)
            return int(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)

    def test_a_grandchild_in_another_session_is_ended(self):
        self.assertEqual(self.left(end=True), 0)
        self.assertGreater(self.left(end=False), 0)


if __name__ == "__main__":
    unittest.main()

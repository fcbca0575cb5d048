"""All benchmarks, then one table: `make bench`, about eighteen minutes on two quiet cores. Exit 1 where a bar is missed."""

import sys

import check_large
import check_startup
import compile_million
import compile_rows
import format_rate
import help_startup
import lsp_diagnostics
import report_rows
import score_memory
import score_rate
import train_throughput
import vllm_writing
import writing_rate
from runner import Compared, report

results: list[Compared] = []
for benchmark in (
    check_startup,
    check_large,
    help_startup,
    format_rate,
    compile_rows,
    compile_million,
    lsp_diagnostics,
    report_rows,
    train_throughput,
    score_rate,
    score_memory,
    vllm_writing,
    writing_rate,
):
    print(f"{benchmark.__name__} …", flush=True)
    results += benchmark.measure()
sys.exit(report(results))

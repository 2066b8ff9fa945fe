"""Writes the counts of a fault run into the marked section of a page.

fault_table.py REPORT PAGE COMMAND SECONDS: REPORT holds a line of JSON for each run, PAGE the marks.
"""
import collections
import datetime
import json
import pathlib
import re
import statistics
import sys

BEGIN, END = '<!-- begin: scripts/faults -->', '<!-- end: scripts/faults -->'
COUNTS = ('kills', 'messages', 'lost', 'wrong', 'unpublished', 'two_ids', 'notifications', 'resent')
HEADINGS = ('kills', 'messages', 'lost', 'wrong', 'unpublished', 'under two ids', 'notifications',
            're-sent', 'recovery, median', 'longest')


def point_names():
    """The named points in the order of a message's way."""
    source = pathlib.Path('src/crash_point.rs').read_text(encoding='utf-8')
    return re.findall(r'^    \w+ = "([a-z-]+)",$', source, re.MULTILINE)


def row(first, runs):
    """One line of a table: the sums of the counts, and the times."""
    cells = [f'{sum(run[count] for run in runs):,}' for count in COUNTS]
    times = [run['recovery_s'] for run in runs]
    cells += [f'{statistics.median(times):.1f} s', f'{max(times):.1f} s']
    return '| ' + ' | '.join(first + cells) + ' |'


def table(first, groups):
    """A table whose first columns name what each group of runs has in common."""
    columns = list(first) + list(HEADINGS)
    lines = ['| ' + ' | '.join(columns) + ' |', '| ' + ' | '.join(['---'] * len(columns)) + ' |']
    return lines + [row(list(key), runs) for key, runs in groups]


def grouped(runs, keys, order):
    groups = collections.defaultdict(list)
    for run in runs:
        groups[tuple(run[key] for key in keys)].append(run)
    return sorted(groups.items(), key=lambda item: order(item[0]))


def main(report, page, command, seconds):
    runs = [json.loads(line) for line in pathlib.Path(report).read_text().splitlines()]
    if not runs:
        sys.exit('fault_table.py: the report is empty; the page is left as it is')
    points = point_names()
    today = datetime.datetime.now(datetime.timezone.utc).date()

    def rank(key):
        fault = key[0]
        return (points.index(fault) if fault in points else len(points), key)

    minutes, rest = divmod(int(seconds), 60)
    lines = [f'Written by `{command}` on {today}: {len(runs)} runs in {minutes} min {rest} s.', '']
    lines += table(['database'], grouped(runs, ['database'], lambda key: key))
    lines += ['', 'Each fault by database:', '']
    lines += table(['fault', 'database'], grouped(runs, ['fault', 'database'], rank))
    path = pathlib.Path(page)
    before, _, after = path.read_text(encoding='utf-8').partition(BEGIN)
    _, mark, after = after.partition(END)
    if not mark:
        sys.exit(f'fault_table.py: {page} has no marks')
    path.write_text(before + '\n'.join([BEGIN, *lines, END]) + after, encoding='utf-8')


if __name__ == '__main__':
    main(*sys.argv[1:])

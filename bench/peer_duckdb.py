"""DuckDB over the same files: read_text for small ones, read_csv of one column for large ones.

With read_text a file is searched as a whole first, and only those with a match are split into lines;
rows are path, line and text. read_csv reads in parallel and does not number lines, so its rows are path
and text. Rows are written by DuckDB.
"""

import json
import sys
import time

import duckdb

LINES_OF_TEXT = """
    WITH files AS (SELECT filename, string_split(content, chr(10)) AS lines
                   FROM read_text(${folder}) WHERE regexp_matches(content, ${regex}{flags})),
         rows AS (SELECT filename, unnest(lines) AS text,
                         unnest(range(1, len(lines) + 1)) AS line FROM files)
    SELECT filename, line, text FROM rows WHERE regexp_matches(text, ${regex}{flags})"""

LINES_OF_CSV = """
    SELECT filename, text
    FROM read_csv(${folder}, columns = {{'text': 'VARCHAR'}}, delim = '\\x01', quote = '',
                  escape = '', header = false, auto_detect = false, filename = true)
    WHERE regexp_matches(text, ${regex}{flags})"""


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def main(how, files, regex, ignore_case, output):
    begin, used = time.perf_counter(), time.process_time()
    database = duckdb.connect(config={"preserve_insertion_order": False})
    query = (LINES_OF_TEXT if how == "text" else LINES_OF_CSV).replace("$", "")
    query = query.format(
        folder=quoted(files), regex=quoted(regex), flags=", 'i'" if ignore_case else ""
    )
    database.execute(f"COPY ({query}) TO {quoted(output)} (FORMAT csv, DELIMITER ':', HEADER false, "
                     "QUOTE '')")
    return {"seconds": time.perf_counter() - begin, "processor": time.process_time() - used}


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit("usage: peer_duckdb.py text|csv GLOB REGEX case|nocase OUTPUT")
    HOW, GLOB, REGEX, CASE, OUTPUT = sys.argv[1:]
    print(json.dumps(main(HOW, GLOB, REGEX, CASE == "nocase", OUTPUT)))

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The AWS CLI's own main, for each list of arguments that stdin has in JSON, in one process: starting it 56 times takes a
minute. Prints a list of [status, standard output, standard error]."""
import contextlib
import io
import json
import sys

from awscli.clidriver import create_clidriver

answers = []
for arguments in json.load(sys.stdin):
    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.TextIOWrapper(io.BytesIO(), write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = create_clidriver().main(arguments)
        except SystemExit as exit:
            status = exit.code
    answers.append([status, *(stream.buffer.getvalue().decode() for stream in (out, err))])
json.dump(answers, sys.stdout)

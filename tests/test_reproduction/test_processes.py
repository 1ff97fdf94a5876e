"""Commands, how they end, and the lock."""

import os
import signal
import subprocess

import pytest


@pytest.fixture
def processes(part):
    return part('processes')


def test_output_is_appended_and_the_status_returned(processes, tmp_path, python):
    log = tmp_path / 'log'
    with processes.locked(tmp_path) as lock:
        for number in (3, 0):
            code = f'print({number}); raise SystemExit({number})'
            status = processes.run_command(python(code), log, os.environ, lock)
            assert status == number
    assert log.read_text() == '3\n0\n'
    assert processes.tail(log) == '    3\n    0'
    assert processes.tail(log, start=2) == '    0'


def test_the_message_is_shown_with_the_end(processes, tmp_path):
    log = tmp_path / 'log'
    message = ['error: these differ:', '  a.png: 1', '  b.png: 2']
    end = [f'line {number}' for number in range(30)]
    log.write_text('\n'.join(['warning: a', *message, *message, *end]))
    shown = processes.tail(log).splitlines()
    assert shown == [f'    {line}' for line in [*message, *end[15:]]]


def test_a_message_at_the_end_is_shown_alone(processes, tmp_path):
    log = tmp_path / 'log'
    message = ['error: these differ:', '  a.png: 1', '  b.png: 2']
    log.write_text('\n'.join(['a hook', 'error: of before', *message, '']))
    shown = processes.tail(log).splitlines()
    assert shown == [f'    {line}' for line in message]


def test_an_interrupt_ends_the_command_politely(
    processes, tmp_path, python, monkeypatch
):
    log = tmp_path / 'log'
    code = (
        'import signal, time\n'
        'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
        'try:\n'
        '    print("ready", flush=True)\n'
        '    while True: time.sleep(0.05)\n'  # pause() may miss an early signal
        'except KeyboardInterrupt: print("saved")'
    )

    class Interrupted(subprocess.Popen):
        """Ctrl-C comes when the command is ready."""

        came = False

        def wait(self, timeout=None):
            while not self.came:
                assert self.poll() is None
                if log.read_text() == 'ready\n':
                    self.came = True
                    raise KeyboardInterrupt
            return super().wait(timeout)

    monkeypatch.setattr(processes.subprocess, 'Popen', Interrupted)
    with processes.locked(tmp_path) as lock, pytest.raises(KeyboardInterrupt):
        processes.run_command(python(code), log, os.environ, lock)
    assert log.read_text() == 'ready\nsaved\n'


def test_a_deaf_command_is_killed(processes, tmp_path, monkeypatch, python):
    patience = dict.fromkeys(processes.PATIENCE, 0.1)
    monkeypatch.setattr(processes, 'PATIENCE', patience)
    code = (
        'import signal\n'
        'for number in (signal.SIGINT, signal.SIGTERM):\n'
        '    signal.signal(number, signal.SIG_IGN)\n'
        'print("ready", flush=True); signal.pause()'
    )
    process = subprocess.Popen(
        python(code), stdout=subprocess.PIPE, start_new_session=True
    )
    with process.stdout as output:
        assert output.readline() == b'ready\n'
    processes.Process(process).stop()
    assert process.returncode == -signal.SIGKILL


def test_a_folder_is_taken_as_long_as_a_command_is_left(
    processes, tmp_path, python, refusal
):
    with processes.locked(tmp_path) as lock:
        with (
            pytest.raises(refusal, match='is at work in'),
            processes.locked(tmp_path),
        ):
            pass
        orphan = subprocess.Popen(python('input()'), pass_fds=[lock], stdin=-1)
    with pytest.raises(refusal, match='is at work in'), processes.locked(tmp_path):
        pass
    orphan.communicate(b'\n')
    with processes.locked(tmp_path):
        pass

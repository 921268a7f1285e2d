import io
import json
import logging
from datetime import datetime, timezone

import pytest
from httppeer import LAST, ask, get, hello
from test_http_serve import ask as ask_port
from test_http_serve import free_port, serving, stop

from gruvi_cffi.http import HttpOptions, JsonFormatter
from gruvi_cffi.logging import get_logger


@pytest.fixture
def lines():
    """What was logged, as it is written."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in out.getvalue().splitlines()]
    root.removeHandler(handler)


def test_what_a_record_says(lines):
    before = datetime.now(timezone.utc)
    get_logger().error('no {} left', 'spam')
    logging.getLogger('kitchen').warning('%s\n"burns"', 'it')
    first, second = lines()
    assert first == {
        'time': first['time'], 'level': 'error', 'logger': 'gruvi_cffi', 'message': 'no spam left',
    }  # fmt: skip
    assert abs((datetime.fromisoformat(first['time']) - before).total_seconds()) < 10
    assert (second['level'], second['logger']) == ('warning', 'kitchen')
    assert second['message'] == 'it\n"burns"'


def test_a_traceback_is_a_field_and_the_request_is_named(serve, lines):
    def app(environ, start_response):
        raise ZeroDivisionError('spam')

    server = serve(app)
    ask(server, get(b'/a?b'))
    (said,) = lines()
    assert (said['method'], said['target']) == ('GET', '/a?b')
    assert said['peer'].startswith('127.0.0.1:')
    assert said['message'] == 'the handler of GET /a?b has failed'
    assert said['error'] == 'ZeroDivisionError'
    assert said['traceback'].endswith('ZeroDivisionError: spam')


def test_what_an_application_says_names_its_request(serve, lines):
    def app(environ, start_response):
        logging.getLogger('app').error('hm', stack_info=True)
        environ['wsgi.errors'].write('oh\n')
        return hello(environ, start_response)

    trusting = HttpOptions(proxy_headers=['127.0.0.1'])
    ask(serve(app, options=trusting), get(b'/', LAST, b'Forwarded: for="[2001:db8::1]:5"\r\n'))
    first, second = lines()
    assert [first['message'], second['message']] == ['hm', 'oh']
    assert first['peer'] == second['peer'] == '[2001:db8::1]:5'
    assert 'in app' in first['stack']


def test_the_command_says_it_so(tmp_path):
    (tmp_path / 'served.py').write_text(
        'def app(environ, start_response):\n    raise KeyError("spam")\n'
    )
    port = free_port()
    arguments = ['served:app', '--bind', f'127.0.0.1:{port}', '--log-format', 'json']
    with serving(tmp_path, *arguments, quiet=True) as process:
        started = json.loads(process.stderr.readline())
        assert (started['level'], 'serving' in started['message']) == ('info', True)
        assert ask_port(port, '/x')[0] == [b'500']
        failed = json.loads(process.stderr.readline())
        assert (failed['level'], failed['target'], failed['error']) == ('error', '/x', 'KeyError')
        assert "KeyError: 'spam'" in failed['traceback']
        assert stop(process) == 0

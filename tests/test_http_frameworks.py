"""Applications of Flask, Django and Bottle, as they are, under our server."""

import io

import bottle
import django
import flask
import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from gruvi_cffi import FiberGroup, current_fiber, sleep
from gruvi_cffi.http import HttpServer, HttpSession

BIG = bytes(range(256)) * 4096  # 1 MiB


def made_slowly():
    for n in range(3):
        yield f'{n}\n'.encode()
        sleep(0.001)


def flask_application():
    app = flask.Flask('shop')
    app.secret_key = 'secret'

    @app.route('/hello/<name>')
    def hello(name):
        return f'hello, {name}, {flask.request.args["q"]}'

    @app.route('/json', methods=['POST'])
    def echo_json():
        return flask.jsonify(flask.request.get_json())

    @app.route('/form', methods=['POST'])
    def form():
        return flask.jsonify(dict(flask.request.form))

    @app.route('/upload', methods=['POST'])
    def upload():
        file = flask.request.files['file']
        return flask.jsonify([file.filename, len(file.read())])

    @app.route('/stream')
    def stream():
        return flask.Response(made_slowly(), mimetype='text/plain')

    @app.route('/file')
    def file():
        return flask.send_file(io.BytesIO(BIG), mimetype='application/octet-stream')

    @app.route('/cookie')
    def cookie():
        seen = flask.session.get('seen', 0)
        flask.session['seen'] = seen + 1
        return str(seen)

    @app.route('/broken')
    def broken():
        raise LookupError('no parrot')

    @app.route('/context/<name>')
    def context(name):
        flask.g.name = name
        sleep(0.001)
        return flask.g.name

    return app


def bottle_application():
    app = bottle.Bottle()

    @app.route('/hello/<name>')
    def hello(name):
        return f'hello, {name}, {bottle.request.query.q}'

    @app.post('/json')
    def echo_json():
        return bottle.request.json

    @app.post('/form')
    def form():
        return dict(bottle.request.forms.decode())

    @app.post('/upload')
    def upload():
        file = bottle.request.files.file
        return bottle.json_dumps([file.filename, len(file.file.read())])

    @app.route('/stream')
    def stream():
        return made_slowly()

    @app.route('/file')
    def file():
        return io.BytesIO(BIG)

    @app.route('/cookie')
    def cookie():
        seen = int(bottle.request.get_cookie('seen', '0'))
        bottle.response.set_cookie('seen', str(seen + 1))
        return str(seen)

    @app.route('/broken')
    def broken():
        raise LookupError('no parrot')

    @app.route('/context/<name>')
    def context(name):
        # What Bottle keeps for each request is in a thread, not in a fiber; this waits for nothing.
        return name

    return app


def django_application():
    def hello(request, name):
        return HttpResponse(f'hello, {name}, {request.GET["q"]}')

    def echo_json(request):
        import json

        return JsonResponse(json.loads(request.body), safe=False)

    def form(request):
        return JsonResponse(request.POST.dict())

    def upload(request):
        file = request.FILES['file']
        return JsonResponse([file.name, len(file.read())], safe=False)

    def stream(request):
        return StreamingHttpResponse(made_slowly())

    def file(request):
        return FileResponse(io.BytesIO(BIG))

    def cookie(request):
        seen = int(request.COOKIES.get('seen', 0))
        response = HttpResponse(str(seen))
        response.set_cookie('seen', str(seen + 1))
        return response

    def broken(request):
        raise LookupError('no parrot')

    def context(request, name):
        sleep(0.001)
        return HttpResponse(name)

    views = [echo_json, form, upload, stream, file, cookie, broken]
    urls = [path(view.__name__.replace('echo_', ''), view) for view in views]
    urls += [path('hello/<name>', hello), path('context/<name>', context)]
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=['*'], ROOT_URLCONF=tuple(urls), SECRET_KEY='secret', LOGGING_CONFIG=None
        )
        django.setup()
    return get_wsgi_application()


@pytest.fixture(params=[flask_application, bottle_application, django_application])
def session(request):
    server = HttpServer(request.param())
    server.listen(('127.0.0.1', 0))
    with HttpSession(f'http://127.0.0.1:{server.addresses[0][1]}', timeout=10) as session:
        yield session
        session.get('/nowhere')  # Bottle keeps the last request of a thread, with its files
    server.close()


def test_a_path_and_a_query(session):
    assert session.get('/hello/Köln', params={'q': 'a b'}).text == 'hello, Köln, a b'
    assert session.get('/nowhere').status_code == 404


def test_json_forms_and_uploads(session):
    assert session.post('/json', json={'a': [1, 'ü']}).json() == {'a': [1, 'ü']}
    assert session.post('/form', {'name': 'Göran', 'n': 1}).json() == {'name': 'Göran', 'n': '1'}
    said = session.post('/upload', files={'file': ('big.bin', io.BytesIO(BIG))})
    assert said.json() == ['big.bin', len(BIG)]


def test_streams_and_files(session):
    with session.get('/stream', stream=True) as response:
        assert list(response.iter_lines()) == ['0', '1', '2']
    assert session.get('/file').content == BIG


def test_cookies(session):
    assert [session.get('/cookie').text for _ in range(3)] == ['0', '1', '2']


def test_what_raises_is_a_500(session):
    response = session.get('/broken')
    assert response.status_code == 500
    assert 'parrot' not in response.text or 'Traceback' not in response.text
    assert session.get('/cookie').ok


def test_head_and_options(session):
    assert session.head('/cookie').content == b''
    assert session.request('OPTIONS', '/cookie').status_code in (200, 204, 405)


def test_requests_of_many_fibers_are_apart(session):
    with FiberGroup() as group:
        fibers = {n: group.spawn(session.get, f'/context/n{n}') for n in range(50)}
    assert all(fiber.result().text == f'n{n}' for n, fiber in fibers.items())
    assert current_fiber()

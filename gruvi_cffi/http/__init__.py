"""HTTP/1.1: servers and clients."""

from .accesslog import AccessLog as AccessLog
from .client import HttpClient as HttpClient
from .errors import HttpError as HttpError
from .errors import HttpTimeout as HttpTimeout
from .errors import MessageError as MessageError
from .errors import MessageTooLarge as MessageTooLarge
from .errors import MessageTruncated as MessageTruncated
from .message import HttpMessage as HttpMessage
from .options import HttpOptions as HttpOptions
from .request import HttpRequest as HttpRequest
from .requesting import HttpClientProtocol as HttpClientProtocol
from .response import Response as Response
from .server import HttpServer as HttpServer
from .serving import HttpServerProtocol as HttpServerProtocol
from .static import StaticFiles as StaticFiles
from .static import send_file as send_file
from .wsgi import ErrorStream as ErrorStream
from .wsgi import WsgiAdapter as WsgiAdapter

"""Django with Channels: a login that is a cookie, CSRF and Origin checked, https wanted, an echo."""

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="0123456789" * 5,
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    SESSION_COOKIE_SECURE=True,
    CSRF_COOKIE_SECURE=True,
    SECURE_SSL_REDIRECT=True,
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
)
django.setup()

from channels.generic.websocket import WebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.security.websocket import AllowedHostsOriginValidator  # noqa: E402
from channels.sessions import SessionMiddlewareStack  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.urls import path  # noqa: E402


def login(request):
    if request.method == "POST":
        request.session["user"] = request.POST["user"]
        return HttpResponse("welcome")
    return HttpResponse(get_token(request))


class Echo(WebsocketConsumer):
    def connect(self):
        if "user" not in self.scope["session"]:
            return self.close(4003)
        self.accept()
        self.send(self.scope["session"]["user"])

    def receive(self, text_data=None, bytes_data=None):
        self.send(text_data)


urlpatterns = [path("login", login)]
application = ProtocolTypeRouter({
    "http": get_asgi_application(),
    "websocket": AllowedHostsOriginValidator(SessionMiddlewareStack(URLRouter([path("ws/echo", Echo.as_asgi())]))),
})

from flask import Flask

from .config import Config
from .ext import limiter


def create_app(config=Config):
    app = Flask(__name__)
    app.config.from_object(config)
    limiter.init_app(app)
    from .admin import bp as admin
    from .api import api
    from .auth import require_api_key
    from .orders import bp as orders
    from .ruled import bp as ruled
    from .users import bp as users

    users.before_request(require_api_key)
    app.register_blueprint(users, url_prefix="/users")
    api.register_blueprint(orders, url_prefix="/orders")
    app.register_blueprint(api, url_prefix="/api/v2")
    app.register_blueprint(admin, subdomain="admin")
    app.register_blueprint(ruled, url_prefix="/ruled")

    @app.errorhandler(404)
    def missing(error):
        return {"error": "not found"}, 404

    @app.after_request
    def cors(response):
        response.headers["X-Shop"] = "1"
        return response

    return app

"""A plugin of OctoPrint: what is said to it goes to every page by its push socket."""

import octoprint.plugin


class EchoPlugin(octoprint.plugin.SimpleApiPlugin):
    def get_api_commands(self):
        return {"say": ["text"]}

    def on_api_command(self, command, data):
        self._plugin_manager.send_plugin_message(self._identifier, {"said": data["text"]})

    def is_api_protected(self):
        return True


__plugin_name__ = "Echo"
__plugin_pythoncompat__ = ">=3,<4"
__plugin_implementation__ = EchoPlugin()

# A page that says what Rails makes of its request, and a channel that echoes; Debian's rails and puma.
require 'action_controller/railtie'
require 'action_cable/engine'

class EchoApp < Rails::Application
  config.eager_load = false
  config.secret_key_base = '0' * 64
  config.force_ssl = true
  config.logger = Logger.new($stdout)
  config.action_cable.mount_path = '/cable'
  config.action_cable.allow_same_origin_as_host = true
  routes.append do
    root to: lambda { |env|
      request = ActionDispatch::Request.new(env)
      [200, { 'Content-Type' => 'text/plain' }, ["#{request.base_url} #{request.remote_ip}"]]
    }
  end
end

class EchoChannel < ActionCable::Channel::Base
  def say(data)
    transmit({ said: data['text'] })
  end
end

EchoApp.initialize!
ActionCable.server.config.cable = { 'adapter' => 'async' }
run EchoApp

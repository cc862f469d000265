# Loads the Vagrantfile that is given, as Vagrant does, and prints as JSON what it asks for.
require "json"

# Takes every setting, and keeps it by its name: a value, a block's settings, or what was called with arguments.
class Settings < BasicObject
  def initialize
    @said = {}
  end

  def said
    @said.transform_values { |value| ::Settings === value ? value.said : value }
  end

  def method_missing(name, *arguments, &block)
    if name.end_with?("=")
      @said[name.to_s.chomp("=")] = arguments.first
    elsif arguments.empty? && !block
      @said[name.to_s] ||= ::Settings.new
    else
      inner = ::Settings.new
      block&.call(inner)
      (@said[name.to_s] ||= []) << { given: arguments, block: inner.said }
    end
  end

  def respond_to_missing?(*)
    true
  end
end

module Vagrant
  def self.configure(version)
    abort "configure(#{version.inspect}) is no version of Vagrant 2's" unless version == "2"
    settings = Settings.new
    yield settings
    puts JSON.generate(settings.said)
  end
end

load ARGV.fetch(0)

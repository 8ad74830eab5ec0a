#include "tests/integration/gateway_process.h"

#include <signal.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <stdexcept>

#include "tests/integration/http_client.h"

namespace fanfare::test {

using namespace std::chrono_literals;

std::string content_of(const std::string& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

GatewayProcess::GatewayProcess(Installation& installation, Process::Environment settings,
                               const std::string& definitions)
    : installation_(installation) {
  define(definitions.empty() ? "[forms.\"*\"]\nper_minute = 0\n" : definitions);
  settings_ = {{"FANFARE_TRIGGERS_LISTEN", "127.0.0.1:0"},
               {"FANFARE_TRIGGERS_BROKER", installation.endpoint()},
               {"FANFARE_TRIGGERS_REDIS", "unix://" + installation.redis().socket_path()},
               {"FANFARE_TRIGGERS_STATE", installation.file("triggers-state")},
               {"FANFARE_TRIGGERS_DEFINITIONS", installation.file("triggers.toml")}};
  for (const auto& setting : settings) {
    std::erase_if(settings_, [&](const auto& each) { return each.first == setting.first; });
    settings_.push_back(setting);
  }
  start();
}

void GatewayProcess::define(const std::string& definitions) {
  std::ofstream{installation_.file("triggers.toml")} << definitions;
}

void GatewayProcess::start() {
  const std::string log_file = installation_.file("triggers.log");
  std::ofstream{log_file}.close();
  process = std::make_unique<Process>(std::vector<std::string>{FANFARE_BIN_DIR "/fanfare-triggers"},
                                      settings_, log_file);
  const std::regex listening{"listening on (https?://[^ \n]*)"};
  std::smatch found;
  std::string text;
  const bool there = eventually([&] {
    text = content_of(log_file);
    return std::regex_search(text, found, listening) || process->wait_end(1ms);
  });
  if (!there || found.empty()) throw std::runtime_error("no gateway: " + text);
  url = found[1];
  if (!url.starts_with("https")) await_ready();
}

void GatewayProcess::restart(const std::string& definitions) {
  ::kill(process->pid(), SIGTERM);
  if (!process->wait_end(10s)) throw std::runtime_error("the gateway does not end: " + log());
  define(definitions);
  start();
}

void GatewayProcess::await_ready() {
  HttpClient client(url);
  if (!eventually([&] { return client.get("/readyz").status == 200; })) {
    throw std::runtime_error("not ready: " + log());
  }
}

std::size_t files_below(const std::string& directory) {
  std::error_code none;
  std::size_t files = 0;
  for (auto at = std::filesystem::recursive_directory_iterator(directory, none);
       at != std::filesystem::recursive_directory_iterator(); at.increment(none)) {
    const std::string name = at->path().filename();
    files += at->is_regular_file(none) && name != "gate" && !name.ends_with(".lock") ? 1 : 0;
  }
  return files;
}

std::pair<std::string, int> run(Gateway& gateway, std::vector<std::string> command) {
  const std::string log = gateway.installation.file("client.log");
  std::ofstream{log}.close();
  Process process(std::move(command),
                  {{"AWS_ACCESS_KEY_ID", "any"},
                   {"AWS_SECRET_ACCESS_KEY", "thing"},
                   {"AWS_DEFAULT_REGION", "eu-north-1"},
                   {"AWS_PAGER", ""},
                   {"AWS_MAX_ATTEMPTS", "1"}},
                  log);
  const auto code = process.wait_end(60s);
  return {content_of(log), code.value_or(-1)};
}

}  // namespace fanfare::test

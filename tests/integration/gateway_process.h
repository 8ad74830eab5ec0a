// An installation with a gateway in front of it, and programs of others that talk to it.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/installation.h"

namespace fanfare::test {

std::string content_of(const std::string& file);

// `settings` are FANFARE_TRIGGERS_… beside, or instead of, what the gateway says itself;
// `definitions` are its triggers.toml. Throws, with its log, if it does not come up.
class GatewayProcess {
 public:
  // Of an installation that is there, and stays as long as this.
  explicit GatewayProcess(Installation& installation, Process::Environment settings = {},
                          const std::string& definitions = "");
  void start();
  // Ends it, and starts it with another triggers.toml.
  void restart(const std::string& definitions);
  void await_ready();
  std::string log() const { return content_of(installation_.file("triggers.log")); }

  std::unique_ptr<Process> process;
  std::string url;  // where it listens: "http://127.0.0.1:40123"

 private:
  void define(const std::string& definitions);

  Installation& installation_;
  Process::Environment settings_;
};

// What a gateway is to have before it starts.
struct OwnInstallation {
  Installation installation;
};

// A gateway with an installation of its own.
class Gateway : public OwnInstallation, public GatewayProcess {
 public:
  explicit Gateway(Process::Environment settings = {}, const std::string& definitions = "",
                   InstallationOptions options = {})
      : OwnInstallation{Installation(std::move(options))},
        GatewayProcess(installation, std::move(settings), definitions) {}
};

// How many files are below a directory, whole or not; locks are none.
std::size_t files_below(const std::string& directory);

// What a program of somebody else's has printed, and its exit code, -1 if it did not end within a
// minute. It has credentials for AWS that mean nothing, and tries nothing twice.
std::pair<std::string, int> run(Gateway& gateway, std::vector<std::string> command);

}  // namespace fanfare::test

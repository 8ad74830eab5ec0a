#include "cli/key_verbs.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/zmq_key.h"
#include "broker/allow_list.h"

namespace fanfare::cli {
namespace {

int print_key(const Common& common, const std::string& file, const PublicKey& key) {
  print_line(common.output.json
                 ? nlohmann::ordered_json{{"file", file}, {"public_key", key.text()}}.dump()
                 : key.text());
  return kDone;
}

}  // namespace

int run_keys_new(const Common& common, const std::string& file) {
  const auto pair = KeyPair::make();
  if (!pair) return fail(common.output, pair.error());
  if (auto written = write_secret_key(file, pair->secret); !written) {
    return fail(common.output, written.error());
  }
  return print_key(common, file, pair->open);
}

int run_keys_public(const Common& common, const std::string& file) {
  const auto pair = KeyPair::read(file);
  if (!pair) return fail(common.output, pair.error());
  return print_key(common, file, pair->open);
}

int run_keys_check_list(const Common& common, const std::string& file) {
  const auto list = broker::AllowList::read(file);
  if (!list) return fail(common.output, list.error());
  print_line(common.output.json
                 ? nlohmann::ordered_json{{"file", file}, {"keys", list->size()}}.dump()
                 : std::to_string(list->size()) + (list->size() == 1 ? " key" : " keys"));
  return kDone;
}

void add_key_verbs(CLI::App& app, Run& run) {
  CLI::App* verb = app.add_subcommand("keys", "CURVE keys, for brokers and peers of several hosts");
  verb->require_subcommand(1);
  verb->footer("`ops/keys` makes them where they belong and says who may come in.");
  const auto file = std::make_shared<std::string>();
  CLI::App* made =
      verb->add_subcommand("new", "Make a file with a secret key; prints the public one");
  made->add_option("file", *file, "It must not be there; mode 0600")->required();
  made->callback(
      [file, &run] { run = [file](const Common& common) { return run_keys_new(common, *file); }; });
  CLI::App* open = verb->add_subcommand("public", "The public key of the secret one in a file");
  open->add_option("file", *file)->required();
  open->callback([file, &run] {
    run = [file](const Common& common) { return run_keys_public(common, *file); };
  });
  CLI::App* check = verb->add_subcommand(
      "check-list", "Whether a broker could read a file as its allowed_keys; changes nothing");
  check->add_option("file", *file)->required();
  check->callback([file, &run] {
    run = [file](const Common& common) { return run_keys_check_list(common, *file); };
  });
}

}  // namespace fanfare::cli

#include "cli/event_flags.h"

namespace fanfare::cli {

CLI::Validator duration_like() {
  return CLI::Validator(
      [](const std::string& text) {
        const auto duration = parse_duration(text);
        return duration ? std::string{} : duration.error().message;
      },
      "DURATION");
}

void add_data_flags(CLI::App& verb, EventFlags& event) {
  CLI::Option* data = verb.add_option("--data", event.data, "Text, @FILE, or - for standard input");
  verb.add_option_function<std::string>(
          "--data-file",
          [&event](const std::string& file) { event.data = file == "-" ? file : "@" + file; },
          "Short for --data @FILE; - for standard input")
      ->excludes(data);
  verb.add_option("--content-type", event.content_type,
                  "Default: application/json if it parses, text/plain if it is text");
}

void add_wait_flag(CLI::App& verb, std::string& wait) {
  verb.add_option("--wait", wait, "Wait for the results, --wait=DURATION for how long (30s)")
      ->check(duration_like());
}

}  // namespace fanfare::cli

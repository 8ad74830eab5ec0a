// What the command says of itself, out of its own declarations: a manual page, and completions for
// shells. So neither can say anything else than --help does.
#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}  // namespace CLI

namespace fanfare::cli {

// fanfare(1) in man(7)'s macros.
std::string manual_page(const CLI::App& app, std::string_view version);

// A script for `shell`: bash, zsh or fish; empty for another one.
std::string completion_script(const CLI::App& app, std::string_view shell);

}  // namespace fanfare::cli

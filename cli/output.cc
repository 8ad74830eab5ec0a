#include "cli/output.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "cli/installation.h"

namespace fanfare::cli {

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return out;
}

namespace {

// A message may quote the lines of a log.
std::string on_lines(std::string_view message) {
  std::string out;
  for (;;) {
    const std::size_t end = std::min(message.find('\n'), message.size());
    out += printable(message.substr(0, end));
    if (end == message.size()) return out;
    out += "\n  ";
    message.remove_prefix(end + 1);
  }
}

// Columns that a terminal needs: one for each character, not byte.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

Output detect_output(bool json) {
  const char* no_color = std::getenv("NO_COLOR");
  const bool allowed = no_color == nullptr || *no_color == '\0';
  return {json, allowed && isatty(STDOUT_FILENO) == 1, allowed && isatty(STDERR_FILENO) == 1,
          isatty(STDERR_FILENO) == 1};
}

std::string paint(Colour colour, std::string_view text, bool enabled) {
  if (!enabled || colour == Colour::kNone) return std::string(text);
  const char* code = "0";
  switch (colour) {
    case Colour::kNone:
      break;
    case Colour::kRed:
      code = "31";
      break;
    case Colour::kGreen:
      code = "32";
      break;
    case Colour::kYellow:
      code = "33";
      break;
    case Colour::kDim:
      code = "2";
      break;
    case Colour::kBold:
      code = "1";
      break;
  }
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

void print_error(const Output& output, std::string_view message) {
  std::fflush(stdout);  // in the order in which it was said, where both go to one place
  fmt::print(stderr, "fanfare: {} {}\n", paint(Colour::kRed, "error:", output.colour_err),
             on_lines(message));
}

void print_error(const Output& output, std::string_view message, std::string_view next_step) {
  print_error(output, message);
  fmt::print(stderr, "  {}\n", next_step);
}

ExitCode fail(const Output& output, const Error& error) {
  const bool told = error.message.find(kServicesHint) != std::string::npos;
  if (error.kind == ErrorKind::kReconnect && !told) {
    // Where the user may not go, nobody can tell whether it runs.
    const bool barred = error.message.find(std::strerror(EACCES)) != std::string::npos;
    print_error(output, error.message,
                barred ? "Run this as the user whose installation it is, or as root."
                       : "Is it running? Start one with `fanfare up`, or name it with --data, "
                         "--broker, --redis.");
  } else if (error.message.starts_with("timeout:")) {
    print_error(
        output, error.message,
        "If it was running, it goes on and its result is dropped; give it longer with --timeout.");
  } else if (error.kind == ErrorKind::kRetryLater) {
    print_error(output, error.message, "Nothing is lost: try again a little later.");
  } else {
    print_error(output, error.message);
  }
  return exit_code_of(error);
}

void print_line(std::string_view line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

std::string format_table(const std::vector<std::string>& headings,
                         const std::vector<std::vector<std::string>>& rows, bool colour) {
  std::vector<std::size_t> widths;
  for (const auto& heading : headings) widths.push_back(width(heading));
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], width(row[i]));
    }
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = i < cells.size() ? printable(cells[i]) : std::string{};
      text += cell;
      if (i + 1 < widths.size()) text.append(widths[i] - width(cell) + 2, ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
  };
  std::string text = paint(Colour::kBold, line(headings), colour) + '\n';
  for (const auto& row : rows) text += line(row) + '\n';
  return text;
}

std::string repainted(std::string_view text, std::size_t rows) {
  std::string out = "\x1b[H";
  for (std::size_t line = 0; line < rows && !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (line > 0) out += '\n';
    out.append(text.substr(0, end)).append("\x1b[K");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out + "\x1b[J";
}

std::size_t terminal_rows() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24u;
}

std::string human_ms(double ms) {
  if (ms < 10) return fmt::format("{:.1f} ms", ms);
  if (ms < 1000) return fmt::format("{:.0f} ms", ms);
  if (ms < 120e3) return fmt::format("{:.1f} s", ms / 1e3);
  if (ms < 7200e3) return fmt::format("{:.0f} min", ms / 60e3);
  return fmt::format("{:.0f} h", ms / 3600e3);
}

}  // namespace fanfare::cli

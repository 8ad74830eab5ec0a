#include "base/metrics_text.h"

#include <fmt/format.h>

#include <cmath>

namespace fanfare {
namespace {

// The shortest text that is read back as the same number.
std::string text_of(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

void append_escaped(std::string& text, std::string_view value) {
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') text += '\\';
    text += c;
  }
}

void append_label(std::string& text, std::string_view name, std::string_view value) {
  text += text.back() == '{' ? "" : ",";
  text += name;
  text += "=\"";
  append_escaped(text, value);
  text += '"';
}

}  // namespace

MetricsText::Family MetricsText::begin(std::string_view name, std::string_view help,
                                       std::string_view type) {
  fmt::format_to(std::back_inserter(text_), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  return {*this, name};
}

void MetricsText::sample(std::string_view name, std::string_view suffix, Labels labels,
                         std::string_view le, std::string_view number) {
  text_ += name;
  text_ += suffix;
  if (labels.size() > 0 || !le.empty()) {
    text_ += '{';
    for (const auto& [label, value] : labels) append_label(text_, label, value);
    if (!le.empty()) append_label(text_, "le", le);
    text_ += '}';
  }
  text_ += ' ';
  text_ += number;
  text_ += '\n';
}

MetricsText::Family& MetricsText::Family::add_number(Labels labels, std::string_view number) {
  text_.sample(name_, {}, labels, {}, number);
  return *this;
}

MetricsText::Family& MetricsText::Family::add(Labels labels, double value) {
  return add_number(labels, text_of(value));
}

MetricsText::Family& MetricsText::Family::add(Labels labels, const Histogram& histogram) {
  const auto counts = histogram.counts();
  const Buckets& buckets = histogram.buckets();
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    so_far += counts[i];
    const bool last = i == buckets.bounds.size();
    const double bound =
        last ? INFINITY : static_cast<double>(buckets.bounds[i]) / buckets.per_unit;
    text_.sample(name_, "_bucket", labels, text_of(bound), std::to_string(so_far));
  }
  text_.sample(name_, "_sum", labels, {}, text_of(histogram.sum()));
  text_.sample(name_, "_count", labels, {}, std::to_string(so_far));
  return *this;
}

}  // namespace fanfare

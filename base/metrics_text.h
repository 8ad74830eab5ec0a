// Writes metrics in Prometheus' text format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
//
//   MetricsText text;
//   text.counter("fanfare_events_refused_total", "Events refused, by reason.")
//       .add({{"reason", "malformed"}}, counters.malformed)
//       .add({{"reason", "too_large"}}, counters.too_large);
//   return text.take();
//
// A family is told whole before the next one begins, and each name is begun once. Names, helps and
// labels' names are the program's own and are not looked at: `promtool check metrics` runs over all
// of them in the tests. Values of labels may be any text.
//
// Pure.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/histogram.h"

namespace fanfare {

class MetricsText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // The samples of one name. Good until the next one is begun.
  class Family {
   public:
    template <std::integral Number>
    Family& add(Labels labels, Number value) {
      return add_number(labels, std::to_string(value));
    }
    Family& add(Labels labels, double value);
    // With its buckets, cumulative, its sum and its count.
    Family& add(Labels labels, const Histogram& histogram);

   private:
    friend class MetricsText;
    Family(MetricsText& text, std::string_view name) : text_(text), name_(name) {}
    Family& add_number(Labels labels, std::string_view number);
    MetricsText& text_;
    std::string_view name_;
  };

  Family counter(std::string_view name, std::string_view help) {
    return begin(name, help, "counter");
  }
  Family gauge(std::string_view name, std::string_view help) { return begin(name, help, "gauge"); }
  Family histogram(std::string_view name, std::string_view help) {
    return begin(name, help, "histogram");
  }

  std::string take() { return std::exchange(text_, {}); }

 private:
  Family begin(std::string_view name, std::string_view help, std::string_view type);
  // `le`: of a bucket, after the others; empty: none.
  void sample(std::string_view name, std::string_view suffix, Labels labels, std::string_view le,
              std::string_view number);

  std::string text_;
};

}  // namespace fanfare

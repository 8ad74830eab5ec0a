// What docs/metrics.md and a daemon's page say that there is, to be compared.
#pragma once

#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace fanfare::test {

inline std::string text_of(const std::string& file) {
  std::ifstream in(FANFARE_SOURCE_DIR "/" + file);
  return {std::istreambuf_iterator<char>{in}, {}};
}

// "counter {function,status}" by the metric's name.
using MetricKinds = std::map<std::string, std::string>;

inline std::string kind_of(const std::string& type, const std::set<std::string>& labels) {
  std::string kind = type + " {";
  for (const auto& label : labels) kind += (kind.back() == '{' ? "" : ",") + label;
  return kind + "}";
}

// Of each section of the manual, by its heading: the rows "| `name` | type | `label` … | meaning
// |".
inline std::map<std::string, MetricKinds> manual_of_metrics() {
  static const std::regex row(R"(\| `(\w+)` \| (\w+) \| ([^|]*) \| \S.* \|)");
  static const std::regex code(R"(`(\w+)`)");
  std::map<std::string, MetricKinds> manual;
  std::istringstream lines(text_of("docs/metrics.md"));
  std::string section;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("## ")) section = line.substr(3);
    std::smatch found;
    if (!std::regex_match(line, found, row)) continue;
    const std::string names = found[3];
    std::set<std::string> labels;
    for (std::sregex_iterator at(names.begin(), names.end(), code), end; at != end; ++at) {
      labels.insert((*at)[1]);
    }
    manual[section][found[1]] = kind_of(found[2], labels);
  }
  return manual;
}

// Of a page in the text format.
inline MetricKinds metrics_on(const std::string& page) {
  static const std::regex label(R"re((\w+)="(?:[^"\\]|\\.)*")re");
  std::map<std::string, std::string> types;
  std::map<std::string, std::set<std::string>> labels;
  std::istringstream lines(page);
  std::string family;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      words >> family >> types[family];
    }
    if (line.starts_with('#')) continue;
    const std::string braces = line.substr(0, line.rfind('}') + 1);
    for (std::sregex_iterator at(braces.begin(), braces.end(), label), end; at != end; ++at) {
      if ((*at)[1] != "le") labels[family].insert((*at)[1]);
    }
  }
  MetricKinds kinds;
  for (const auto& [name, type] : types) kinds[name] = kind_of(type, labels[name]);
  return kinds;
}

}  // namespace fanfare::test

#include "tests/support/results.h"

#include <set>
#include <stdexcept>

#include "store/packed.h"
#include "tests/support/ask.h"

namespace fanfare::test {

std::map<std::uint8_t, std::string> read_results(RedisSync& redis, const std::string& results_key) {
  std::map<std::uint8_t, std::string> results;
  std::set<std::uint8_t> alone;  // these count before those of several, as in the library
  const auto fields = ask(redis, {"HGETALL", results_key});
  for (std::size_t i = 0; i + 1 < fields->size(); i += 2) {
    const std::string_view field = (*fields)[i].text();
    if (field == store::kSpansField) continue;
    std::string value{(*fields)[i + 1].text()};
    if (value.empty()) {
      const auto beside = ask(redis, {"GET", results_key + ":" + std::string{field}});
      if (beside->is_nil()) continue;  // it has expired
      value = beside->text();
    }
    const bool is_alone = field.find('-') == field.npos;
    const auto read =
        store::for_each_result(field, value, [&](std::uint8_t index, std::string_view result) {
          if (is_alone) alone.insert(index);
          if (is_alone || !alone.contains(index)) results[index] = result;
        });
    if (!read) throw std::runtime_error(results_key + ": " + read.error().message);
  }
  return results;
}

}  // namespace fanfare::test

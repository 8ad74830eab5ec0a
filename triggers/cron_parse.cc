// Reading cron expressions: fields into sets.
#include <fmt/format.h>

#include <array>
#include <cctype>
#include <charconv>
#include <span>
#include <string>
#include <vector>

#include "triggers/cron_fields.h"

namespace fanfare::triggers {
namespace {

constexpr std::array<std::string_view, 12> kMonths{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                   "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdays{"SUN", "MON", "TUE", "WED",
                                                    "THU", "FRI", "SAT"};

struct Field {
  std::string_view name;
  int low, high;
  std::string_view takes;
  std::span<const std::string_view> names = {};  // of low, low + 1, …
};

constexpr Field kMinute{"minute", 0, 59, "0-59, with * , - /"};
constexpr Field kHour{"hour", 0, 23, "0-23, with * , - /"};
constexpr Field kDay{"day of the month", 1, 31, "1-31, with * , - /"};
constexpr Field kDayOfSix{"day of the month", 1, 31, "1-31, with * ? , - /, L, LW and 15W"};
constexpr Field kMonth{"month", 1, 12, "1-12 or JAN-DEC, with * , - /", kMonths};
constexpr Field kWeekday{"day of the week", 0, 7,
                         "0-7 (0 and 7 are Sunday) or SUN-SAT, with * , - /", kWeekdays};
constexpr Field kWeekdayOfSix{"day of the week", 1, 7,
                              "1-7 (1 is Sunday) or SUN-SAT, with * ? , - /, L, 6L and 6#3",
                              kWeekdays};
constexpr Field kYear{"year", CronFields::kFirstYear, CronFields::kLastYear,
                      "1970-2199, with * , - /"};

// The values of a field that were chosen, counted from its low.
using Chosen = std::bitset<CronFields::kLastYear - CronFields::kFirstYear + 1>;

Error wrong(const Field& field, std::string_view item, std::string_view why) {
  return reject(fmt::format("{} '{}' {}: it takes {}", field.name, item, why, field.takes));
}

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = text.find_first_of(separators);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::optional<int> read_number(std::string_view text) {
  int value = 0;
  if (text.empty() || text.size() > 6 || text[0] == '-') return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<int> read_value(const Field& field, std::string_view item, std::string_view text) {
  const std::string name = upper(text);
  for (std::size_t i = 0; i < field.names.size(); ++i) {
    if (field.names[i] == name) return field.low + static_cast<int>(i);
  }
  const auto value = read_number(text);
  if (!value) {
    return wrong(field, item, text.empty() ? "lacks a value" : "is not understood");
  }
  if (*value < field.low || *value > field.high) return wrong(field, item, "is out of range");
  return *value;
}

// "*", "5", "1-5", each perhaps with "/2"; "5/2" goes on to the end of the field.
Result<void> read_item(const Field& field, std::string_view item, Chosen& chosen) {
  const auto slash = item.find('/');
  const std::string_view range = item.substr(0, slash);
  const auto dash = range.find('-');
  int from = field.low, to = field.high, step = 1;
  if (range != "*") {
    const auto first = read_value(field, item, range.substr(0, dash));
    if (!first) return first.error();
    from = *first;
    if (dash != range.npos) {
      const auto last = read_value(field, item, range.substr(dash + 1));
      if (!last) return last.error();
      to = *last;
    } else if (slash == item.npos) {
      to = from;
    }
    // As crontab has it, a week may end with Sunday.
    if (field.low == 0 && field.high == 7 && dash != range.npos && to == 0 && from > 0) to = 7;
    if (from > to) return wrong(field, item, "runs backwards, write it as two ranges");
  }
  if (slash != item.npos) {
    const auto number = read_number(item.substr(slash + 1));
    if (!number || *number < 1) return wrong(field, item, "lacks a step of 1 or more");
    if (*number > field.high - field.low) {
      return wrong(field, item, "has a step longer than the field, for which there is rate(…)");
    }
    step = *number;
  }
  for (int value = from; value <= to; value += step) {
    chosen.set(static_cast<std::size_t>(value - field.low));
  }
  return {};
}

Result<Chosen> read_field(const Field& field, std::string_view text) {
  Chosen chosen;
  for (const std::string_view item : split(text, ",")) {
    if (auto fine = read_item(field, item, chosen); !fine) return fine.error();
  }
  return chosen;
}

template <std::size_t N>
void spread(const Chosen& chosen, std::size_t low, std::bitset<N>& into) {
  for (std::size_t i = 0; i + low < N && i < chosen.size(); ++i) {
    if (chosen[i]) into.set(i + low);
  }
}

// A month's days of EventBridge: L, LW, 15W beside the usual.
Result<void> read_days_of_six(std::string_view text, CronFields& fields) {
  Chosen chosen;
  for (const std::string_view item : split(text, ",")) {
    const std::string name = upper(item);
    if (name == "L") {
      fields.last_day = true;
    } else if (name == "LW") {
      fields.last_weekday = true;
    } else if (name.ends_with('W')) {
      const auto day = read_value(kDayOfSix, item, item.substr(0, item.size() - 1));
      if (!day) return day.error();
      fields.nearest_weekdays.set(static_cast<std::size_t>(*day));
    } else if (auto fine = read_item(kDayOfSix, item, chosen); !fine) {
      return fine;
    }
  }
  spread(chosen, 1, fields.days);
  return {};
}

// A week's days of EventBridge: L (Saturday), 6L, 6#3 beside the usual.
Result<void> read_weekdays_of_six(std::string_view text, CronFields& fields) {
  Chosen chosen;
  for (const std::string_view item : split(text, ",")) {
    const std::string name = upper(item);
    const auto hash = item.find('#');
    if (name == "L") {
      chosen.set(6);
    } else if (hash != item.npos) {
      const auto day = read_value(kWeekdayOfSix, item, item.substr(0, hash));
      if (!day) return day.error();
      const auto number = read_number(item.substr(hash + 1));
      if (!number || *number < 1 || *number > 5) {
        return wrong(kWeekdayOfSix, item, "lacks a number of 1 to 5 behind the #");
      }
      fields.nth_weekdays.set(static_cast<std::size_t>(7 * (*number - 1) + *day - 1));
    } else if (name.ends_with('L')) {
      const auto day = read_value(kWeekdayOfSix, item, item.substr(0, item.size() - 1));
      if (!day) return day.error();
      fields.last_weekdays.set(static_cast<std::size_t>(*day - 1));
    } else if (auto fine = read_item(kWeekdayOfSix, item, chosen); !fine) {
      return fine;
    }
  }
  spread(chosen, 0, fields.weekdays);
  return {};
}

std::vector<std::string_view> fields_of(std::string_view text) {
  std::vector<std::string_view> fields = split(text, " \t");
  std::erase(fields, "");
  return fields;
}

// What both forms have.
Result<CronFields> read_common(std::string_view minute, std::string_view hour,
                               std::string_view month) {
  CronFields fields;
  const auto of_hour = read_field(kMinute, minute), of_day = read_field(kHour, hour),
             of_year = read_field(kMonth, month);
  for (const auto* field : {&of_hour, &of_day, &of_year}) {
    if (!*field) return field->error();
  }
  spread(*of_hour, 0, fields.minutes);
  spread(*of_day, 0, fields.hours);
  spread(*of_year, 1, fields.months);
  fields.runs_through = minute.starts_with('*') || hour.starts_with('*');
  return fields;
}

}  // namespace

Result<CronFields> parse_eventbridge_cron(std::string_view text) {
  const auto parts = fields_of(text);
  if (parts.size() != 6) {
    return reject(
        fmt::format("cron({}) has {} fields: it takes six, minute, hour, day of the month, month, "
                    "day of the week and year, as in cron(0 12 ? * MON-FRI *)",
                    text, parts.size()));
  }
  auto fields = read_common(parts[0], parts[1], parts[3]);
  if (!fields) return fields;
  const std::string_view day = parts[2], weekday = parts[4];
  if ((day == "?") == (weekday == "?")) {
    return reject(
        fmt::format("day of the month '{}' and day of the week '{}': exactly one of them is ?, "
                    "which leaves the choice to the other",
                    day, weekday));
  }
  if (day == "?") {
    fields->days.set();
  } else if (auto fine = read_days_of_six(day, *fields); !fine) {
    return fine.error();
  }
  if (weekday == "?") {
    fields->weekdays.set();
  } else if (auto fine = read_weekdays_of_six(weekday, *fields); !fine) {
    return fine.error();
  }
  const auto years = read_field(kYear, parts[5]);
  if (!years) return years.error();
  fields->years = *years;
  return fields;
}

Result<CronFields> parse_unix_cron(std::string_view text) {
  const auto parts = fields_of(text);
  if (parts.size() != 5) {
    return reject(fmt::format(
        "'{}' has {} fields: plain cron takes five, minute, hour, day of the month, month and day "
        "of the week, as in '0 12 * * 1-5'; six belong into cron(…)",
        text, parts.size()));
  }
  auto fields = read_common(parts[0], parts[1], parts[3]);
  if (!fields) return fields;
  const auto days = read_field(kDay, parts[2]), weekdays = read_field(kWeekday, parts[4]);
  if (!days) return days.error();
  if (!weekdays) return weekdays.error();
  spread(*days, 1, fields->days);
  spread(*weekdays, 0, fields->weekdays);
  if ((*weekdays)[7]) fields->weekdays.set(0);
  fields->years.set();
  fields->either_day = !parts[2].starts_with('*') && !parts[4].starts_with('*');
  return fields;
}

}  // namespace fanfare::triggers

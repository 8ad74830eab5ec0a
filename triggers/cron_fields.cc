#include "triggers/cron_fields.h"

#include <bit>

namespace fanfare::triggers {
namespace {

using std::chrono::days;
using std::chrono::local_days;
using std::chrono::local_seconds;
using std::chrono::minutes;

// Days of a month, bit 1 for the first. A set of 64 bits because shifts by up to 32 occur.
using Days = std::uint64_t;

constexpr Days bit(unsigned day) {
  return Days{1} << day;
}

struct Month {
  unsigned length;     // in days
  unsigned weekday_1;  // of its first day, 0 is Sunday

  unsigned weekday(unsigned day) const { return (weekday_1 + day - 1) % 7; }
  // All days of a weekday.
  Days each(unsigned weekday) const {
    Days found = 0;
    for (unsigned day = 1 + (weekday + 7 - weekday_1) % 7; day <= length; day += 7) {
      found |= bit(day);
    }
    return found;
  }
  // The weekday (Monday to Friday) nearest to a day, without leaving the month.
  unsigned near(unsigned day) const {
    if (weekday(day) == 6) return day > 1 ? day - 1 : day + 2;
    if (weekday(day) == 0) return day < length ? day + 1 : day - 2;
    return day;
  }
};

Month month_of(int year, unsigned month) {
  using namespace std::chrono;
  const auto first = std::chrono::year{year} / std::chrono::month{month} / 1;
  const auto last = std::chrono::year{year} / std::chrono::month{month} / std::chrono::last;
  return {static_cast<unsigned>(last.day()), weekday{sys_days{first}}.c_encoding()};
}

Days by_month(const CronFields& fields, const Month& month) {
  Days found = fields.days.to_ulong();
  if (fields.last_day) found |= bit(month.length);
  if (fields.last_weekday) found |= bit(month.near(month.length));
  for (unsigned day = 1; fields.nearest_weekdays.any() && day <= month.length; ++day) {
    if (fields.nearest_weekdays[day]) found |= bit(month.near(day));
  }
  return found & (bit(month.length + 1) - 2);
}

Days by_week(const CronFields& fields, const Month& month) {
  Days found = 0;
  for (unsigned weekday = 0; weekday < 7; ++weekday) {
    const Days each = month.each(weekday);
    if (fields.weekdays[weekday]) found |= each;
    if (fields.last_weekdays[weekday])
      found |= bit(static_cast<unsigned>(std::bit_width(each)) - 1);
    const auto first = static_cast<unsigned>(std::countr_zero(each));
    for (unsigned n = 0; n < 5; ++n) {
      if (fields.nth_weekdays[7 * n + weekday]) found |= each & bit(first + 7 * n);
    }
  }
  return found;
}

Days days_of(const CronFields& fields, int year, unsigned number) {
  const Month month = month_of(year, number);
  const Days of_month = by_month(fields, month), of_week = by_week(fields, month);
  return fields.either_day ? of_month | of_week : of_month & of_week;
}

std::optional<local_days> next_day(const CronFields& fields, local_days from) {
  const std::chrono::year_month_day date{from};
  int year = static_cast<int>(date.year());
  auto month = static_cast<unsigned>(date.month()), day = static_cast<unsigned>(date.day());
  if (year < CronFields::kFirstYear) year = CronFields::kFirstYear, month = day = 1;
  for (; year <= CronFields::kLastYear; ++year, month = day = 1) {
    if (!fields.years[static_cast<std::size_t>(year - CronFields::kFirstYear)]) continue;
    for (; month <= 12; ++month, day = 1) {
      if (!fields.months[month]) continue;
      const Days found = days_of(fields, year, month) >> day << day;
      if (found == 0) continue;
      return local_days{std::chrono::year{year} / std::chrono::month{month} /
                        std::chrono::day{static_cast<unsigned>(std::countr_zero(found))}};
    }
  }
  return std::nullopt;
}

// The first minute of a day, at `from` or later.
std::optional<minutes> next_minute(const CronFields& fields, minutes from) {
  auto hour = static_cast<std::size_t>(from.count()) / 60;
  auto minute = static_cast<std::size_t>(from.count()) % 60;
  for (; hour < 24; ++hour, minute = 0) {
    if (!fields.hours[hour]) continue;
    for (; minute < 60; ++minute) {
      if (fields.minutes[minute]) return minutes{60 * hour + minute};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<local_seconds> CronFields::next(local_seconds from) const {
  constexpr local_days kEnd{std::chrono::year{kLastYear + 1} / 1 / 1};
  if (from >= kEnd) return std::nullopt;
  const auto at = std::chrono::ceil<std::chrono::minutes>(from);
  const auto today = std::chrono::floor<std::chrono::days>(at);
  auto day = next_day(*this, today);
  if (day && *day == today) {
    if (const auto minute = next_minute(*this, at - today)) return today + *minute;
    day = next_day(*this, today + std::chrono::days{1});
  }
  const auto minute = next_minute(*this, std::chrono::minutes{0});
  if (!day || !minute) return std::nullopt;
  return *day + *minute;
}

}  // namespace fanfare::triggers

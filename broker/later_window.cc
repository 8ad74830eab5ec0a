#include "broker/later_window.h"

#include <algorithm>
#include <limits>

namespace fanfare::broker {
void LaterWindow::note_due(std::int64_t due_ms) {
  next_due_ms_ = std::min(next_due_ms_.value_or(due_ms), due_ms);
  if (due_ms > cursor_ms_) return;
  cursor_ms_ = due_ms;
  cursor_id_.reset();
}

void LaterWindow::note_placed(std::int64_t due_ms) {
  note_due(due_ms);
  if (reading()) placed_due_ms_ = std::min(placed_due_ms_.value_or(due_ms), due_ms);
}

void LaterWindow::skip_row(std::int64_t due_ms, std::uint64_t key) {
  skipped_keys_.insert(key);
  skipped_due_ms_ = std::min(skipped_due_ms_.value_or(due_ms), due_ms);
}

void LaterWindow::read_skipped_rows() {
  if (!skipped_due_ms_ || reading()) return;
  if (held_.size() > limits_.rows_max / 16 || bytes_ > limits_.bytes_max / 16) return;
  note_due(*skipped_due_ms_);
  skipped_due_ms_.reset();
  skipped_keys_.clear();
}

bool LaterWindow::may_read() const {
  return next_due_ms_ && !broken_ && under_way_ < at_once_ && bytes_ < limits_.bytes_max &&
         held_.size() + std::size_t{limits_.page_rows} * under_way_ < limits_.rows_max;
}

std::optional<store::Due> LaterWindow::next_page(const std::string& function, std::int64_t now_ms) {
  if (!may_read() || *next_due_ms_ > now_ms) return std::nullopt;
  ++asked_;
  return store::Due{.function = function,
                    .from_ms = cursor_ms_,
                    .until_ms = now_ms,
                    .after = cursor_id_,
                    .rows_max = limits_.page_rows,
                    .skip = limits_.page_rows * under_way_++};
}

bool LaterWindow::goes_on(const store::Due& page, const store::DueRows& rows) const {
  if (page.skip == 0 || !limits_.check_pages) return true;
  return rows.before && cursor_id_ && rows.before->due_ms == cursor_ms_ &&
         rows.before->id == *cursor_id_;
}

bool LaterWindow::begin_page(const store::Due& page, const store::DueRows* rows) {
  --under_way_;
  ++answered_;
  if (!rows || broken_ || !goes_on(page, *rows)) {
    broken_ = reading();
    at_once_ = 1;
    return false;
  }
  // None: what is placed from now on says when the next one is due.
  next_due_ms_ = rows->next_due_ms;
  const bool more = next_due_ms_ && *next_due_ms_ <= page.until_ms;
  at_once_ = more ? std::min(2 * at_once_, limits_.pages_at_once) : 1;
  return true;
}

bool LaterWindow::take_row(const store::DueRows::Row& row) {
  cursor_ms_ = row.due_ms;
  cursor_id_ = row.id;
  if (held_.contains(row.id)) return false;
  const auto ended = ended_.find(row.id);
  return ended == ended_.end() || ended->second.by < row.token;
}

void LaterWindow::end_page() {
  if (placed_due_ms_) note_due(*placed_due_ms_);
  forget_ended();
  if (reading()) return;
  placed_due_ms_.reset();
  read_skipped_rows();
}

void LaterWindow::forget_ended() {
  while (!ended_in_order_.empty()) {
    const auto first = ended_.find(ended_in_order_.front());
    if (first != ended_.end()) {
      if (first->second.last_page > answered_) return;
      ended_.erase(first);
    }
    ended_in_order_.pop_front();
  }
}

void LaterWindow::begin_anew() {
  cursor_ms_ = 0;
  cursor_id_.reset();
  under_way_ = 0;
  at_once_ = 1;
  broken_ = false;
  placed_due_ms_.reset();
  answered_ = asked_;
  forget_ended();
}

void LaterWindow::hold(const protocol::EventId& id, std::size_t bytes) {
  if (held_.emplace(id, bytes).second) bytes_ += bytes;
}

void LaterWindow::release(const protocol::EventId& id) {
  const auto held = held_.find(id);
  if (held == held_.end()) return;
  bytes_ -= held->second;
  held_.erase(held);
  read_skipped_rows();
}

void LaterWindow::end(const protocol::EventId& id) {
  if (held_.empty() || !holds(id)) return;  // most functions have nothing here
  release(id);
  end_unread(id, {std::numeric_limits<std::uint32_t>::max()});
}

void LaterWindow::end_unread(const protocol::EventId& id, protocol::AttemptToken by) {
  if (!reading()) return;
  ended_.insert_or_assign(id, Ended{asked_, by});
  ended_in_order_.push_back(id);
}

void LaterWindow::read_again(const protocol::EventId& id, std::int64_t due_ms) {
  if (!holds(id)) return;
  end(id);
  note_placed(due_ms);
}

}  // namespace fanfare::broker

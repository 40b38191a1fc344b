// Messages that come while a turn runs: they wait while the model streams, and are folded into the turn when a tool
// ends. An urgent one ends a stream at once, but not a tool: that runs to its end, whatever is said meanwhile.

#include "json.hpp"
#include "session.hpp"

#include <cstdlib>

namespace mock {
namespace {

using json::quote;

}  // namespace

void session::fold_what_came() {
  if (result_printed_ || stop_ != stop::none) return;
  for (const prompt& said : queue_) {
    folded_.push_back(said.text);
    if (said.uuid.empty()) continue;
    folded_uuids_.push_back(said.uuid);
    if (given_.newer) io_.print(wire::lifecycle(who_, said.uuid, "started"));
  }
  queue_.clear();
  follow_up_.clear();  // the model hears of ended tasks now, so no turn follows
}

void session::say_what_was_folded() {
  if (folded_said_ == folded_.size()) return;
  std::string all;
  for (; folded_said_ < folded_.size(); ++folded_said_) all += (all.empty() ? "" : " | ") + folded_[folded_said_];
  say("steered: " + all);
}

bool session::do_tool_until(directive& d) {
  question const used =
      use_tool("Bash", "{\"command\":" + quote("await " + d.rest) + ",\"description\":\"a long tool\"}");
  open_.push_back(used);  // rejected with the questions when the turn is stopped
  in_tool_ = true;
  bool const counts = !d.rest.empty() && d.rest.find_first_not_of("0123456789") == std::string::npos;
  std::size_t const messages = counts ? static_cast<std::size_t>(std::atol(d.rest.c_str())) : 0;
  bool const ran = counts ? wait_until([&] { return queue_.size() >= messages; }) : wait_for_file(d.rest);
  serve_lines_without_waiting();  // what was written before the gate opened has come before the tool ended
  in_tool_ = false;
  if (!ran || stop_ == stop::interrupt || stop_ == stop::sigint || stop_ == stop::end_session) return false;
  open_.pop_back();
  std::string const output = "waited";
  tool_done(wire::tool_result(who_, used.tool_use, quote(output), wire::shell_result(output), wire::verdict::ran, true),
            output);
  if (stop_ != stop::none) return false;
  say_what_was_folded();
  return true;
}

bool session::do_received(directive&) {
  std::string list;
  for (const std::string& one : folded_) list += (list.empty() ? "" : ",") + quote(one);
  folded_said_ = folded_.size();
  say("[" + list + "]");
  return true;
}

}  // namespace mock

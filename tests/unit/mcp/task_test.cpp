// The extension io.modelcontextprotocol/tasks.
#include "mcp/harness.hpp"

#include <stdexcept>

namespace awm::mcp::testing {
namespace {

/// Before everything that settles receipts.
struct receipt_log {
  deliveries receipts;
};

/// Its tools: "work" becomes a task and waits for the gate, "ask" asks in mid-task, "must" is a task or nothing, "fail"
/// fails as a request, "quick" is done before anybody can look.
struct tasks : receipt_log, gated_harness {
  explicit tasks(session_options options = {}) : gated_harness(std::move(options)) {
    add_task("work", [this](json, request_context& call) {
      call.begin_task();
      return door.pass(call);
    });
    add_task("ask", [](json, request_context& call) { return ask_in_task(call); });
    add_task("fail", [this](json, request_context& call) { return fail(call); });
    add_task("quick", [this](json, request_context& call) { return quick(call); });
    add_task(
        "must", [this](json, request_context& call) { return quick(call); }, task_support::required);
    start();
  }

  template <class Handler>
  void add_task(const std::string& name, Handler handler, task_support support = task_support::optional) {
    tool t = make_tool(name, std::move(handler));
    t.task = support;
    offer.add(std::move(t));
  }
  static asio::awaitable<tool_result> ask_in_task(request_context& call) {
    call.begin_task();
    json schema = {{"type", "object"}};
    asio::awaitable<elicitation> asking = call.client().elicit("May it?", std::move(schema), "perm");
    const elicitation got = co_await std::move(asking);
    co_return tool_result::text(got.content.dump());
  }
  asio::awaitable<tool_result> fail(request_context& call) {
    call.begin_task();
    tool_result out = tool_result::failed({-32603, "broken", json{{"why", 1}}});
    out.settled = [this](delivery what) { receipts.push_back(what); };
    co_return out;
  }
  asio::awaitable<tool_result> quick(request_context& call) {
    call.begin_task();
    tool_result out = tool_result::json({{"n", 1}});
    out.settled = [this](delivery what) { receipts.push_back(what); };
    co_return out;
  }

  json created(const std::string& tool, const json& id = "call") {
    return answer_to(harness::stateless_call(id, tool, with_all)).at("result");
  }
  static json of(const std::string& method, const json& task, const json& id = "poll") {
    return harness::stateless(id, method, {{"taskId", task}}, with_all);
  }
  json get(const json& task) { return answer_to(of("tasks/get", task)).at("result"); }
  json update(const json& task, json responses) {
    return answer_to(harness::stateless("update", "tasks/update",
                                        {{"taskId", task}, {"inputResponses", std::move(responses)}}, with_all));
  }
};

TEST(task, is_announced_at_once_and_found_by_its_name_with_the_result_in_the_end) {
  tasks h;
  const json first = h.created("work");
  EXPECT_EQ(first.at("resultType"), "task");
  EXPECT_EQ(first.at("status"), "working");
  EXPECT_TRUE(first.at("ttlMs").is_null());
  EXPECT_EQ(first.at("pollIntervalMs"), 1000);
  EXPECT_TRUE(first.at("createdAt").is_string());
  const json id = first.at("taskId");
  const json working = h.get(id);
  EXPECT_EQ(working.at("status"), "working");
  EXPECT_EQ(working.at("resultType"), "complete");
  EXPECT_FALSE(working.contains("result"));

  h.door.opened.set();
  EXPECT_TRUE(h.received().empty());  // the call was answered before
  const json done = h.get(id);
  EXPECT_EQ(done.at("status"), "completed");
  EXPECT_EQ(done.at("result").at("structuredContent"), json({{"done", true}}));
  EXPECT_EQ(done.at("createdAt"), first.at("createdAt"));
}

TEST(task, may_be_done_before_the_answer_that_announces_it_is_read) {
  tasks h;
  EXPECT_EQ(h.get(h.created("quick").at("taskId")).at("status"), "completed");
}

TEST(task, tells_progress_in_words_and_when) {
  auto now = std::make_shared<std::chrono::system_clock::time_point>(std::chrono::seconds(1'000'000));
  tasks h({.utc_now = [now] { return *now; }});
  const json first = h.created("work");
  EXPECT_TRUE(h.door.last->wants_progress());
  *now += std::chrono::seconds(5);
  h.door.last->progress(1, 2.0, "half of it");
  EXPECT_TRUE(h.received().empty());  // nobody listens
  const json state = h.get(first.at("taskId"));
  EXPECT_EQ(state.at("statusMessage"), "half of it");
  EXPECT_NE(state.at("lastUpdatedAt"), first.at("lastUpdatedAt"));
}

TEST(task, is_none_for_a_client_that_takes_none_nor_in_the_legacy_era) {
  tasks h;
  h.door.opened.set();
  EXPECT_EQ(h.answer_to(harness::stateless_call(1, "work")).at("result").at("resultType"), "complete");
  h.open();
  EXPECT_TRUE(h.answer_to(harness::call(2, "work")).at("result").contains("content"));
}

TEST(task, that_is_required_is_refused_to_a_client_that_takes_none) {
  tasks h;
  const json answer = h.answer_to(harness::stateless_call(1, "must"));
  EXPECT_EQ(answer.at("error").at("code"), -32021);
  EXPECT_EQ(answer.at("error").at("data"), json({{"requiredCapabilities", with_tasks}}));
  h.open();
  EXPECT_EQ(h.error_code_for(harness::call(2, "must")), -32021);
  EXPECT_EQ(h.created("must").at("resultType"), "task");
}

TEST(task, methods_need_the_extension) {
  tasks h;
  const json id = h.created("work").at("taskId");
  for (const char* const method : {"tasks/get", "tasks/update", "tasks/cancel"}) {
    EXPECT_EQ(h.error_code_for(harness::stateless(1, method, {{"taskId", id}})), -32021) << method;
  }
}

TEST(task, the_extension_is_offered_when_a_tool_may_become_one) {
  tasks h;
  const json result = h.answer_to(harness::stateless(1, "server/discover")).at("result");
  EXPECT_EQ(result.at("capabilities").at("extensions"), with_tasks.at("extensions"));
}

TEST(task, an_unknown_name_is_bad_params_and_one_of_an_earlier_process_has_failed) {
  tasks h;
  for (const char* const method : {"tasks/get", "tasks/update", "tasks/cancel"}) {
    EXPECT_EQ(h.error_code_for(tasks::of(method, "task-1")), -32602) << method;
    EXPECT_EQ(h.error_code_for(tasks::of(method, 1)), -32602) << method;
  }
  tasks earlier;
  const json lost = earlier.created("work").at("taskId");
  const json state = h.get(lost);
  EXPECT_EQ(state.at("taskId"), lost);
  EXPECT_EQ(state.at("status"), "failed");
  EXPECT_TRUE(state.at("error").at("message").is_string());
  EXPECT_EQ(h.error_code_for(tasks::of("tasks/cancel", lost)), -32602);
}

TEST(task, an_error_of_the_protocol_is_a_failure_and_an_error_result_a_completion) {
  tasks h;
  h.add_task("throw", [](json, request_context& call) -> asio::awaitable<tool_result> {
    call.begin_task();
    throw std::runtime_error("no luck");
    co_return tool_result{};
  });
  const json failed = h.get(h.created("fail").at("taskId"));
  EXPECT_EQ(failed.at("status"), "failed");
  EXPECT_EQ(failed.at("error"), json({{"code", -32603}, {"message", "broken"}, {"data", {{"why", 1}}}}));
  EXPECT_EQ(h.receipts, deliveries{delivery::written});
  const json completed = h.get(h.created("throw").at("taskId"));
  EXPECT_EQ(completed.at("status"), "completed");
  EXPECT_EQ(completed.at("result").at("isError"), true);
}

// ---- questions ----

TEST(task, asks_in_its_state_and_is_answered_by_update) {
  tasks h;
  const json created = h.created("ask");
  const json id = created.at("taskId");
  const json asking = h.get(id);
  EXPECT_EQ(asking.at("status"), "input_required");
  ASSERT_EQ(asking.at("inputRequests").size(), 1U);
  const std::string key = asking.at("inputRequests").begin().key();
  EXPECT_EQ(asking.at("inputRequests").at(key).at("method"), "elicitation/create");

  EXPECT_TRUE(h.update(id, {{"unknown", json::object()}}).contains("result"));
  EXPECT_EQ(h.get(id).at("status"), "input_required");
  EXPECT_EQ(h.update(id, json::array()).at("error").at("code"), -32602);
  EXPECT_EQ(h.update(id, {{key, "accept"}}).at("error").at("code"), -32602);
  EXPECT_EQ(h.get(id).at("status"), "input_required");

  EXPECT_EQ(h.update(id, {{key, accepted({{"ok", true}})}}).at("result").at("resultType"), "complete");
  const json done = h.get(id);
  EXPECT_EQ(done.at("status"), "completed");
  EXPECT_EQ(done.at("result").at("content").at(0).at("text"), R"({"ok":true})");
  EXPECT_TRUE(h.update(id, {{key, accepted(json::object())}}).contains("result"));  // too late, and no matter
}

TEST(task, names_of_questions_are_used_once) {
  tasks h;
  const std::string first = h.get(h.created("ask", 1).at("taskId")).at("inputRequests").begin().key();
  const std::string second = h.get(h.created("ask", 2).at("taskId")).at("inputRequests").begin().key();
  EXPECT_NE(first, second);
}

TEST(task, the_answer_to_another_tasks_question_is_ignored) {
  tasks h;
  const json one = h.created("ask", 1).at("taskId");
  const json two = h.created("ask", 2).at("taskId");
  const std::string key = h.get(one).at("inputRequests").begin().key();
  h.update(two, {{key, accepted(json::object())}});
  EXPECT_EQ(h.get(one).at("status"), "input_required");
  EXPECT_EQ(h.get(two).at("status"), "input_required");
}

// ---- cancellation ----

TEST(task, cancel_stops_it_and_may_be_repeated) {
  tasks h;
  const json id = h.created("work").at("taskId");
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(h.answer_to(tasks::of("tasks/cancel", id)).contains("result"));
  EXPECT_EQ(h.door.stopped, 1);
  const json state = h.get(id);
  EXPECT_EQ(state.at("status"), "cancelled");
  EXPECT_FALSE(state.contains("result"));
  EXPECT_TRUE(h.door.receipts.empty());
}

TEST(task, cancelled_while_it_asks_asks_no_more) {
  tasks h;
  const json id = h.created("ask").at("taskId");
  h.answer_to(tasks::of("tasks/cancel", id));
  const json state = h.get(id);
  EXPECT_EQ(state.at("status"), "cancelled");
  EXPECT_FALSE(state.contains("inputRequests"));
}

TEST(task, of_a_call_that_is_cancelled_before_it_is_announced_is_stopped) {
  tasks h;
  h.output->set_capacity(0);
  h.send(harness::stateless("first", "tools/list"));  // fills the pipe
  h.send(harness::stateless_call("call", "work", with_all));
  EXPECT_EQ(h.door.started, 1);
  h.send(harness::cancelled("call"));
  EXPECT_EQ(h.door.stopped, 1);
  h.output->set_capacity(1'000'000);
  EXPECT_EQ(h.answer().at("id"), "first");
}

TEST(task, of_a_call_whose_cancellation_crossed_the_announcement_is_stopped) {
  tasks h;
  h.created("work", "call");
  h.send(harness::cancelled("call"));
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_TRUE(h.received().empty());
}

TEST(task, is_stopped_by_the_end_of_the_session) {
  tasks h;
  h.created("work");
  h.input->close();
  h.settle();
  EXPECT_EQ(h.door.stopped, 1);
  EXPECT_TRUE(h.outcome);
}

// ---- receipts ----

TEST(receipt_of_a_task, is_written_by_the_first_get_that_delivers_the_outcome) {
  tasks h;
  const json id = h.created("work").at("taskId");
  h.get(id);
  h.door.opened.set();
  h.settle();
  EXPECT_TRUE(h.door.receipts.empty());
  h.get(id);
  EXPECT_EQ(h.door.receipts, deliveries{delivery::written});
  h.get(id);
  h.answer_to(tasks::of("tasks/cancel", id));
  EXPECT_EQ(h.door.receipts, deliveries{delivery::written});
}

TEST(receipt_of_a_task, waits_for_the_next_get_when_the_answer_of_one_is_withdrawn) {
  tasks h;
  const json id = h.created("quick").at("taskId");
  h.output->set_capacity(0);
  h.send(harness::stateless("first", "tools/list"));
  h.send(tasks::of("tasks/get", id, "lost"));
  h.send(harness::cancelled("lost"));
  h.output->set_capacity(1'000'000);
  EXPECT_EQ(h.answer().at("id"), "first");
  EXPECT_TRUE(h.receipts.empty());
  EXPECT_EQ(h.get(id).at("status"), "completed");
  EXPECT_EQ(h.receipts, deliveries{delivery::written});
}

TEST(receipt_of_a_task, is_dropped_when_the_client_cancels_a_task_whose_outcome_it_never_got) {
  tasks h;
  const json id = h.created("quick").at("taskId");
  h.answer_to(tasks::of("tasks/cancel", id));
  EXPECT_EQ(h.receipts, deliveries{delivery::dropped});
  h.get(id);
  EXPECT_EQ(h.receipts, deliveries{delivery::dropped});
}

TEST(receipt_of_a_task, is_dropped_with_the_oldest_task_that_has_no_room_any_more) {
  tasks h({.finished_tasks = 2});
  const json first = h.created("quick").at("taskId");
  const json second = h.created("quick").at("taskId");
  EXPECT_TRUE(h.receipts.empty());
  h.created("quick");
  EXPECT_EQ(h.receipts, deliveries{delivery::dropped});
  EXPECT_EQ(h.get(first).at("status"), "failed");
  EXPECT_EQ(h.get(second).at("status"), "completed");
}

TEST(receipt_of_a_task, is_dropped_before_run_returns) {
  tasks h;
  h.created("quick");
  h.input->close();
  h.settle();
  ASSERT_TRUE(h.outcome);
  EXPECT_EQ(h.receipts, deliveries{delivery::dropped});
}

TEST(receipt_of_a_task, may_end_the_session_that_drops_it) {
  tasks h({.finished_tasks = 0});
  h.add_task("last", [&h](json, request_context& call) -> asio::awaitable<tool_result> {
    call.begin_task();
    tool_result out = tool_result::text("x");
    out.settled = [&h](delivery) { h.talk->shutdown(); };
    co_return out;
  });
  h.send(harness::stateless_call(1, "last", with_all));
  EXPECT_TRUE(h.outcome);
}

// ---- who listens ----

TEST(task, tells_those_who_listen_its_whole_state) {
  tasks h;
  const json id = h.created("work").at("taskId");
  h.send(harness::stateless("ear", "subscriptions/listen", {{"notifications", {{"taskIds", {id, "task-other"}}}}},
                            with_all));
  EXPECT_EQ(h.answer().at("params").at("notifications"), json({{"taskIds", {id}}}));
  h.door.last->progress(1, std::nullopt, "on it");
  json told = h.answer();
  EXPECT_EQ(told.at("method"), "notifications/tasks");
  EXPECT_EQ(told.at("params").at("statusMessage"), "on it");
  EXPECT_EQ(told.at("params").at("_meta").at("io.modelcontextprotocol/subscriptionId"), "ear");
  h.door.opened.set();
  told = h.answer();
  EXPECT_EQ(told.at("params").at("status"), "completed");
  EXPECT_EQ(told.at("params").at("result").at("structuredContent"), json({{"done", true}}));
}

TEST(task, of_a_client_that_does_not_read_tells_only_its_newest_state) {
  tasks h;
  const json id = h.created("work").at("taskId");
  h.send(harness::stateless("ear", "subscriptions/listen", {{"notifications", {{"taskIds", {id}}}}}, with_all));
  h.received();
  h.output->set_capacity(0);
  for (int i = 1; i <= 100; ++i) h.door.last->progress(i, std::nullopt, std::to_string(i));
  h.settle();
  for (int i = 1; i <= 100; ++i) h.door.last->progress(i, std::nullopt, "b" + std::to_string(i));
  h.output->set_capacity(1'000'000);
  const auto told = h.received();
  ASSERT_EQ(told.size(), 2U);  // the one that was being written, and the newest
  EXPECT_EQ(told.back().at("params").at("statusMessage"), "b100");
}

TEST(task, changes_of_questions_are_told) {
  tasks h;
  const json id = h.created("ask").at("taskId");
  h.send(harness::stateless("ear", "subscriptions/listen", {{"notifications", {{"taskIds", {id}}}}}, with_all));
  h.received();
  const std::string key = h.get(id).at("inputRequests").begin().key();
  h.send(harness::stateless("u", "tasks/update",
                            {{"taskId", id}, {"inputResponses", {{key, accepted(json::object())}}}}, with_all));
  const auto told = h.received();
  ASSERT_GE(told.size(), 2U);
  EXPECT_EQ(told.back().at("params").at("status"), "completed");
}

}  // namespace
}  // namespace awm::mcp::testing

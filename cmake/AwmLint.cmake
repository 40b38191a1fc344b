# g++ 12.2 lays out a coroutine's frame wrongly when a condition holds a co_await. The build fails on one.
add_custom_target(lint ALL
  COMMAND ${PROJECT_SOURCE_DIR}/scripts/lint
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  COMMENT "lint: no co_await inside a condition"
  VERBATIM)

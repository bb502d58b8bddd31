//! The contract, stamped for every policy, also two foreign ones, and for 1, 2 and 4 workers. Optimized, which takes long to build, for `LockFree` alone:
//! optimized code under the others is what `cargo xtask soak` runs.

#![cfg_attr(
    any(not(debug_assertions), lockgrain_tsan),
    allow(dead_code, unused_imports, reason = "some policies are left out")
)]

mod suite;

use lockgrain::{FineGrained, GlobalLock, LockFree, LockPolicy, deque, gate, run_queue, value_lock};

/// A user's policy: the global gate over lock-free deques.
struct Mixed;

impl LockPolicy for Mixed {
    const NAME: &'static str = "mixed";
    type Queue = run_queue::Stealing;
    type Gate = gate::GlobalGate;
    type Lock = value_lock::WaitList;
}

/// A user's policy: lock-free, over the other deque.
struct OverCrossbeam;

impl LockPolicy for OverCrossbeam {
    const NAME: &'static str = "crossbeam";
    type Queue = run_queue::Stealing<deque::Crossbeam>;
    type Gate = gate::OpenGate;
    type Lock = value_lock::WaitList;
}

macro_rules! stamp {
    ($($module:ident: $($case:ident),+ $(,)?;)+) => {
        #[cfg(debug_assertions)]
        stamp!(@policy global GlobalLock; $($module: $($case),+;)+);
        #[cfg(debug_assertions)]
        stamp!(@policy fine FineGrained; $($module: $($case),+;)+);
        stamp!(@policy lock_free LockFree; $($module: $($case),+;)+);
        #[cfg(debug_assertions)]
        stamp!(@policy mixed Mixed; $($module: $($case),+;)+);
        // crossbeam-deque reads an entry before it knows whether it has got it, and throws away what it has not: ThreadSanitizer calls that a race.
        #[cfg(all(debug_assertions, not(lockgrain_tsan)))]
        stamp!(@policy crossbeam OverCrossbeam; $($module: $($case),+;)+);
    };
    (@policy $name:ident $policy:ty; $($module:ident: $($case:ident),+;)+) => {
        mod $name {
            use super::*;
            $(mod $module {
                use super::*;
                $(mod $case {
                    use super::*;
                    #[test]
                    fn with_1_worker() { suite::with_workers::<$policy>(1, suite::$module::$case); }
                    #[test]
                    fn with_2_workers() { suite::with_workers::<$policy>(2, suite::$module::$case); }
                    #[test]
                    fn with_4_workers() { suite::with_workers::<$policy>(4, suite::$module::$case); }
                })+
            })+
        }
    };
}

stamp! {
    tasks:
        result_is_the_closures_value,
        captures_arrive,
        a_panic_reaches_the_handle,
        a_detached_task_runs,
        captures_are_dropped_when_the_task_has_run,
        a_thousand_tasks_run_once_each,
        tasks_spawned_by_tasks_run,
        recursion_with_waits_gives_fib,
        a_chain_a_thousand_deep_ends,
        a_panicking_task_leaves_the_worker_alive,
        panicking_drops_are_survived,
        three_tasks_one_after_another_use_one_thread,
        a_failure_that_looks_like_nothing_is_one,
        what_nobody_takes_is_dropped,
        one_closure_runs_as_often_as_it_is_accepted,
        sixty_tasks_make_no_more_threads_than_workers,
        a_pool_is_quiet_after_its_tasks;
    handles:
        cancel_before_start_drops_the_closure,
        cancel_of_a_running_task_changes_nothing,
        cancel_of_a_finished_task_changes_nothing,
        request_cancel_is_seen_at_the_checkpoint,
        a_timeout_leaves_the_handle_good,
        try_result_never_waits,
        a_waiter_hears_of_a_cancel,
        callbacks_run_once_in_order,
        a_panicking_callback_changes_nothing,
        a_callback_sees_the_cancellation,
        awaiting_gives_the_result,
        waiting_for_oneself_is_an_error;
    waiting:
        a_worker_waits_for_a_queued_task,
        a_task_without_a_handle_waits_for_its_child,
        a_panic_handler_waits_for_a_task,
        tasks_in_blocking_overlap,
        context_blocking_lets_others_run,
        two_tasks_waiting_for_each_other_get_an_error,
        tasks_that_block_on_one_lock_keep_no_worker;
    quiescence:
        a_pool_is_quiescent_after_all_that_its_tasks_have_spawned,
        a_new_pool_is_quiescent,
        what_runs_or_is_queued_counts,
        who_stands_in_line_counts,
        tasks_that_wait_for_it_do_not_count,
        with_a_context_nobody_waits,
        what_is_not_due_does_not_count,
        a_paused_pool_is_quiescent_if_nothing_is_queued,
        all_who_wait_are_told,
        a_broadcast_counts,
        a_submitter_that_runs_its_task_counts,
        a_pool_that_has_stopped_is_quiescent;
    ranked:
        the_higher_goes_first_and_equals_in_order,
        nobody_waits_for_ever,
        each_runs_once,
        an_idle_worker_wakes_for_it,
        a_worker_runs_what_it_waits_for,
        a_queued_one_is_cancelled,
        a_shutdown_runs_them,
        they_have_places_in_a_bounded_queue,
        of_the_lowest_priority_the_oldest_makes_room,
        a_paused_pool_begins_none;
    deadlines:
        a_task_that_has_not_started_in_time_ends,
        a_task_that_starts_in_time_is_left_alone,
        each_has_one_end,
        a_worker_runs_what_it_waits_for_in_time,
        without_a_handle_it_ends_as_well,
        a_shutdown_does_not_wait_for_the_time,
        an_expired_task_gives_its_place_back;
    promises:
        a_worker_waits_for_what_another_task_promised,
        a_worker_waits_for_what_a_thread_promised,
        a_thread_waits_for_what_a_task_promised,
        a_second_result_is_handed_back,
        an_error_is_an_end_like_any_other,
        a_tasks_panic_can_be_passed_on,
        a_cancelled_promise_hands_the_value_back,
        a_waiting_worker_hears_of_a_cancelled_promise,
        a_running_promise_can_be_asked_to_stop,
        a_promise_ended_as_cancelled_is_so_everywhere,
        an_abandoned_promise_ends_its_handle,
        a_panic_abandons_the_promises_on_its_way,
        without_a_handle_the_value_is_dropped_at_once,
        with_its_handle_the_value_is_dropped_at_once,
        callbacks_of_a_promise_run_once_in_order_where_it_is_fulfilled,
        callbacks_see_how_a_promise_ended,
        timed_waits_for_a_promise,
        awaiting_a_promise,
        promises_and_tasks_are_awaited_together,
        debug_tells_a_promises_state,
        with_a_context_a_promise_is_awaited_in_blocking,
        of_many_ends_one_counts;
    shared:
        all_readers_see_one_value,
        all_readers_see_one_panic,
        all_readers_hear_of_a_cancel,
        a_running_task_is_asked_by_any_reader,
        timed_waits_for_a_shared_handle,
        of_many_waiting_workers_one_runs_the_task,
        a_wait_that_would_deadlock_is_an_error_for_that_reader_alone,
        the_value_goes_with_its_last_reader,
        the_last_reader_can_take_the_value,
        clones_count_once_in_a_wait_for_many,
        each_future_of_a_shared_handle_is_woken,
        debug_tells_a_shared_handles_state;
    groups:
        all_completed_gives_each_once,
        first_completed_gives_what_has_ended,
        first_exception_passes_over_success_and_cancellation,
        a_timeout_gives_the_partial_split,
        no_wake_up_is_lost,
        a_cancelled_task_counts_as_ended_at_once,
        as_completed_gives_each_once_the_ended_first,
        as_completed_says_how_many_did_not_end_in_time,
        handles_of_two_pools_and_two_types_mix,
        a_task_waits_for_the_next_of_its_children,
        waits_for_any_in_a_circle_end,
        a_completion_queue_gives_what_has_ended,
        a_completion_queue_is_used_inside_a_task;
    bulk:
        map_is_the_serial_map,
        map_runs_all_without_being_iterated,
        one_failing_item_does_not_end_the_rest,
        map_gives_what_is_done_in_time,
        a_dropped_map_cancels_what_has_not_started,
        a_dropped_map_stops_the_chunk_that_runs,
        a_buffer_bounds_what_is_taken,
        yielded_values_are_not_kept,
        a_panicking_input_is_an_error_at_its_place,
        empty_input_ends_at_once,
        invoke_all_gives_ended_handles_in_order,
        invoke_all_in_time_cancels_what_has_not_started,
        invoke_any_gives_one_success,
        invoke_any_in_time_cancels_the_rest,
        for_each_waits_for_all_before_it_fails,
        try_map_begins_nothing_after_an_error,
        map_all_gives_all_values_in_order,
        map_range_gives_the_values_of_all_indices_in_order,
        more_than_are_submitted_at_once,
        a_map_all_that_fails_drops_all_values,
        a_map_all_whose_time_runs_out_leaves_its_tasks_alone,
        map_is_used_inside_a_task,
        map_on_a_pool_that_is_shut_down_is_refused;
    pause:
        a_paused_pool_begins_nothing,
        what_runs_goes_on_and_a_wait_runs_what_it_waits_for,
        a_shutdown_resumes;
    clearing:
        the_queued_are_cancelled_and_the_pool_goes_on,
        a_cancelled_task_lets_in_the_next,
        what_is_dropped_may_use_the_pool,
        joins_and_scopes_stay_whole,
        what_comes_meanwhile_is_run_or_cancelled;
    scope:
        tasks_borrow_and_give_results,
        a_scope_ends_after_its_tasks,
        results_do_not_outlive_the_scope,
        a_scope_passes_panics_on_when_all_have_ended,
        scopes_nest_inside_tasks,
        join_recurses,
        joins_that_lean_to_one_side,
        waiting_for_who_joins_is_an_error,
        who_blocks_shares_the_second_halves_of_all_its_joins,
        join_in_a_task_that_a_half_waits_for,
        a_panic_leaves_the_joins_around_it_whole,
        join_gets_its_second_half_back_from_under_others,
        join_runs_the_second_half_elsewhere_while_the_first_blocks,
        join_passes_panics_on_when_both_have_ended,
        waiting_for_who_opened_the_scope_is_an_error,
        a_scope_on_a_pool_that_is_shut_down_refuses,
        shutdown_now_leaves_joins_whole,
        with_a_context_join_is_serial_and_a_scope_is_refused;
    then:
        a_continuation_gets_the_outcome,
        a_continuation_does_not_begin_early,
        a_cancelled_continuation_leaves_the_first_task_alone,
        a_continuation_is_run_by_a_pool_that_drains,
        shutdown_now_cancels_what_would_come_after;
    shutdown:
        drains_what_is_queued,
        refuses_afterwards,
        try_submit_hands_the_closure_back,
        now_cancels_what_is_queued,
        now_counts_what_was_cancelled_before,
        with_a_timeout_says_whether_it_stopped,
        from_a_task_does_not_hang,
        by_dropping_the_last_handle_in_a_task,
        races_with_submission,
        twice_is_fine;
    guarded:
        transfers_on_pairs_and_triples_keep_the_sum,
        an_array_is_lent_for_an_array,
        conflicting_tasks_run_in_the_order_of_their_submission,
        tasks_with_nothing_in_common_overlap,
        philosophers_all_eat,
        a_value_named_twice_is_an_error,
        a_reader_behind_a_waiting_writer_does_not_overtake,
        a_waiting_task_delays_nobody_who_wants_another_value,
        a_panic_gives_the_value_back,
        a_cancelled_task_is_passed_over,
        a_long_line_of_cancelled_tasks_does_not_fill_the_stack,
        waiting_for_a_task_behind_ones_own_value_is_an_error,
        a_task_with_a_value_waits_for_its_child,
        shutdown_runs_what_stands_in_line,
        shutdown_now_ends_what_stands_in_line,
        shutdown_now_ends_at_once_what_stands_in_line,
        a_cancel_in_a_draining_pool_lets_in_the_next,
        a_value_of_another_pool_is_refused,
        panicking_drops_of_values_are_survived,
        readers_and_writers_never_meet,
        a_panic_poisons_if_asked,
        who_does_not_mind_the_order_is_kept_apart_too;
    limits:
        no_more_run_than_there_are_permits,
        as_many_run_as_there_are_permits,
        who_wants_many_is_not_overtaken,
        values_keys_and_permits_are_taken_in_one_step,
        who_waits_for_a_permit_keeps_its_place_for_the_value,
        a_limit_says_what_it_can_not_do,
        a_panic_gives_permits_back,
        who_gives_up_is_passed_over,
        who_waits_for_a_permit_keeps_no_worker,
        who_holds_some_permits_waits_for_one_that_wants_the_rest,
        waiting_for_one_that_wants_more_than_the_rest_is_an_error,
        the_last_of_all_holders_that_wait_gets_an_error,
        who_waits_for_a_time_is_counted_on,
        shutdown_runs_what_waits_for_permits,
        waiting_for_one_behind_who_keeps_what_it_gets_is_an_error,
        nothing_is_left_of_a_limit_that_had_several_at_once;
    keyed:
        tasks_with_a_key_in_common_never_overlap,
        tasks_with_a_key_in_common_run_in_order,
        a_cancelled_task_is_passed_over,
        a_panic_gives_the_key_back,
        waiting_for_ones_own_key_is_an_error,
        shutdown_ends_what_waits_for_a_key,
        what_nobody_waits_for_keeps_the_order_too,
        a_hundred_thousand_tasks_never_overlap,
        keys_in_opposite_orders_make_progress,
        philosophers_with_keys_for_forks_all_eat,
        a_reader_of_a_key_does_not_overtake_a_waiting_writer,
        readers_and_writers_of_a_key_never_meet,
        who_waits_for_a_key_delays_nobody_who_needs_another,
        nobody_starts_early_for_a_cancelled_task,
        a_task_with_a_key_waits_for_its_child;
    key_space:
        different_keys_are_never_in_each_others_way,
        a_key_named_twice_is_taken_once,
        keys_have_the_hash_that_they_are_given,
        a_key_takes_memory_only_while_tasks_name_it,
        panicking_keys_are_survived,
        a_strand_runs_its_tasks_one_after_another,
        keys_and_values_are_taken_in_one_step,
        a_task_alone_meets_no_other,
        a_task_alone_keeps_its_place;
    stuck:
        the_next_of_several_comes_with_its_time,
        who_waits_runs_what_comes_after_a_promise,
        a_wait_for_another_pool_is_no_deadlock,
        a_scope_leaves_the_error_to_another;
    states:
        each_state_has_its_answers,
        each_state_answers_a_wait_of_no_time,
        debug_says_the_state,
        all_threads_see_one_end,
        a_waiter_with_a_timeout_gets_the_value,
        whoever_waits_hears_of_a_cancel,
        a_cancelled_task_never_runs,
        a_task_that_its_waiter_ran_is_not_run_again,
        a_task_that_was_asked_to_stop_is_not_done_before_it_ends,
        a_task_that_ignores_the_request_gives_its_result,
        of_two_cancelled_tasks_the_running_one_ends_as_ever,
        a_timeout_takes_its_time;
    callbacks:
        one_added_before_the_end_sees_it,
        one_added_after_the_end_is_called_at_once,
        of_one_for_a_value_and_one_for_an_error_one_is_called,
        those_added_while_the_task_ends_keep_the_order,
        a_panic_in_one_leaves_the_worker_alive;
    ending:
        now_ends_the_queued_and_leaves_the_running,
        without_a_wait_accepted_tasks_run_and_threads_end,
        now_without_a_wait_right_after_a_submit,
        now_leaves_a_thread_that_has_not_come_one_task,
        now_leaves_a_task_to_who_waits_for_it_before_its_first,
        now_leaves_nothing_to_a_thread_that_breaks_the_pool,
        after_a_submit_and_a_quick_cancel,
        a_drop_waits_for_all_and_joins_the_threads,
        awaiting_the_end_takes_its_time_and_says_whether_it_came;
    settings:
        no_workers_are_an_error_and_start_no_thread,
        the_default_size_is_that_of_the_machine,
        threads_have_the_prefix_and_their_index,
        each_thread_is_set_up_before_its_first_task,
        a_pool_whose_threads_cant_start_can_be_shut_down,
        a_fresh_pool_has_nothing,
        counters_follow_the_events_and_are_never_ahead;
    timers:
        a_task_runs_after_its_delay_at_least,
        tasks_run_in_the_order_of_their_times,
        cancel_before_the_time_drops_the_closure_at_once,
        cancelled_tasks_do_not_pile_up,
        a_timed_wait_ends_before_the_task,
        a_worker_waits_for_a_delayed_task,
        a_wait_for_what_nobody_can_run_is_an_error,
        fixed_rate_never_overlaps_nor_runs_early,
        fixed_delay_rests_between_runs,
        a_panic_ends_a_series,
        cancel_between_runs_ends_a_series_at_once,
        cancel_during_a_run_ends_a_series_after_it,
        cancel_against_the_time,
        shutdown_runs_what_is_delayed_and_ends_series,
        shutdown_cancels_what_is_delayed_if_asked_to,
        shutdown_lets_series_go_on_if_asked_to,
        shutdown_now_cancels_what_waits_for_its_time,
        scheduling_after_shutdown_is_refused,
        shutdown_inside_a_run_ends_the_series,
        scheduling_races_with_shutdown,
        without_a_timer_thread_the_handle_says_why,
        a_series_without_rest_is_a_panic,
        the_timer_thread_starts_at_the_first_use;
    capacity:
        a_full_queue_rejects,
        a_cancelled_task_makes_room_at_once,
        a_thousand_tasks_retried_run_once_each,
        the_oldest_makes_room,
        the_newest_is_dropped,
        every_handle_ends_and_the_counts_agree;
    caller_runs:
        the_caller_runs_what_has_no_place,
        a_task_runs_what_has_no_place,
        callers_on_top_of_one_another_do_not_fill_the_stack,
        a_task_with_values_runs_no_other,
        a_context_runs_no_other_task_under_its_lock,
        callers_of_two_pools_run_each_others_tasks;
    places:
        a_submitter_waits_for_a_start,
        a_submitter_waits_for_a_cancel,
        a_wait_for_a_place_can_end,
        shutdown_ends_the_waits_for_a_place,
        a_task_fills_its_own_pool,
        a_task_with_a_context_fills_its_own_pool,
        whoever_all_others_wait_for_gets_in,
        two_pools_fill_each_other;
    locals:
        each_worker_makes_its_own_value_before_its_first_task,
        a_spare_worker_has_its_own_value,
        the_finalizer_gets_the_value_on_its_thread,
        a_value_of_another_type_is_a_panic_that_says_so,
        a_task_on_top_of_a_use_does_not_get_the_value,
        a_failing_initializer_breaks_the_pool,
        a_panicking_initializer_breaks_the_pool,
        what_runs_goes_on_when_the_pool_breaks,
        breaking_races_with_submission,
        prestart_says_that_an_initializer_failed,
        a_workers_life_is_wrapped,
        a_wrapper_that_runs_nothing_breaks_the_pool,
        a_finalizer_for_another_type_is_an_error;
    hooks:
        hooks_wrap_each_task_on_its_worker,
        tasks_that_a_waiter_runs_are_wrapped_too,
        a_cancelled_task_has_no_hooks,
        panicking_hooks_are_survived,
        the_end_is_told_once_after_the_last_task,
        the_end_may_use_the_pool,
        a_pool_that_ran_nothing_tells_its_end;
    sizing:
        a_bad_size_changes_nothing,
        a_grown_pool_runs_more_at_once,
        a_shrunk_pool_interrupts_nobody,
        sleepers_of_a_shrunk_pool_end,
        resizing_races_with_submission,
        idle_workers_above_the_minimum_end,
        without_a_minimum_workers_stay,
        prestart_all_starts_what_is_missing,
        the_largest_number_of_threads_is_kept;
    futures:
        a_future_that_is_ready_gives_its_output,
        a_future_is_polled_when_a_thread_wakes_it,
        a_future_woken_while_it_is_polled_is_polled_again,
        a_future_that_yields_lets_others_run,
        a_future_awaits_tasks_of_its_pool_and_of_another,
        a_future_without_a_handle_goes_on,
        a_full_queue_refuses_a_future,
        two_futures_wait_for_each_other_in_turn,
        polls_run_with_the_lock,
        a_task_waits_for_a_future,
        a_wait_for_a_future_that_nobody_can_poll_is_an_error,
        block_on_drives_a_future,
        with_a_context_block_on_is_for_blocking;
    future_ends:
        a_poll_that_panics_ends_the_future,
        a_future_whose_drop_panics_is_survived,
        cancel_between_polls_drops_the_future_at_once,
        a_poll_that_goes_on_is_asked_to_be_the_last,
        cancel_against_wake_ups,
        a_future_that_nobody_can_wake_ends,
        shutdown_drives_what_is_woken_and_ends_what_waits,
        shutdown_drives_a_future_that_awaits_the_timer,
        shutdown_now_ends_all_that_wait,
        wake_ups_race_with_shutdown,
        a_future_that_owns_its_pool_is_dropped_by_it,
        a_future_for_a_pool_that_is_shut_down_is_refused;
    broadcast:
        every_worker_runs_it_once_on_its_own_thread,
        workers_may_meet_in_it,
        a_panic_is_passed_on_when_all_have_ended,
        a_worker_that_is_busy_comes_to_it_later,
        a_task_runs_its_own_share,
        tasks_broadcast_at_the_same_time,
        broadcasts_come_in_one_order,
        one_that_could_not_end_is_an_error,
        broadcasts_nest,
        it_waits_for_the_end_of_a_pause,
        it_goes_by_the_size_of_the_pool,
        it_finds_workers_that_end,
        shutdown_runs_what_was_accepted,
        shutdown_now_ends_what_has_not_begun,
        it_races_with_shutdown,
        a_pool_whose_threads_cant_be_set_up_says_so,
        with_a_context_it_is_refused_under_a_global_lock;
}

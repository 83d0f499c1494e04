{#- A matched row has all columns of the match; an unmatched one has a reason and none of them. -#}
{% test matched_or_explained(model) %}
select * from {{ model }}
where is_matched <> (unmatched_reason is null)
    or is_matched <> (broker_row_id is not null)
    or is_matched <> (broker_at is not null)
    or is_matched <> (match_probability is not null)
    or (not is_matched and important_score is not null)
{% endtest %}

-- What `make test-aws` calls. The user that the stack's functions log in as needs EXECUTE on them.
CREATE OR REPLACE PROCEDURE public.sp_test_aws_types (
    p_int IN INTEGER, p_flag IN BOOLEAN, p_day IN DATE, p_text IN VARCHAR(100)
)
AS $$
BEGIN
    RAISE NOTICE '% % % %', p_int, p_flag, p_day, p_text;
END;
$$ LANGUAGE plpgsql;

CREATE OR REPLACE PROCEDURE public.sp_test_aws_out (
    p_text IN VARCHAR(100), p_count OUT INTEGER, p_said OUT VARCHAR(100)
)
AS $$
BEGIN
    p_count := 7;
    p_said := p_text;
END;
$$ LANGUAGE plpgsql;
